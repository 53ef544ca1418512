"""How the package itself is built: only there in a checkout and the sdist, never in a wheel."""
