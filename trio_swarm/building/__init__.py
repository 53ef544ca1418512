"""How the package itself is built: only there in a checkout and the sdist, never in a wheel.

Reading order: `wheel_hook` (hatchling calls it: whether to compile, and why not), `compiled` (runs
mypyc on the modules that pyproject.toml names).
"""
