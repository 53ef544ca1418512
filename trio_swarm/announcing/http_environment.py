"""What HTTP takes from the environment, usable or not: proxies and certificates.

httpx reads `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` (in either case), and
`SSL_CERT_FILE` and `SSL_CERT_DIR`; Python's ssl reads `SSLKEYLOGFILE`.
"""

import os
import ssl
import urllib.request
from typing import Final, NamedTuple

_CERTIFICATES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")
_MAX_REASON = 300


class Certificates(NamedTuple):
    """Whom HTTPS believes; `fault` says why it cannot be told, "" if it can."""

    context: ssl.SSLContext
    fault: str


def load_certificates() -> Certificates:
    """Load the certificates to verify HTTPS trackers with. Takes some 20 ms."""
    import httpx  # noqa: PLC0415 - only where an HTTP tracker is asked

    try:
        return Certificates(httpx.create_ssl_context(), "")
    except (OSError, ValueError) as error:
        # It verifies, and believes nobody: plain HTTP goes on.
        nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        reason = getattr(error, "strerror", None) or str(error)
        named = _faulty_variable(nobody) or "the certificates of this machine"
        return Certificates(nobody, f"{named} cannot be used: {reason[:_MAX_REASON]}")


def certificate_variables() -> str:
    """Return the variable that says whom to believe, for people; "" if none does."""
    return next((name for name in _CERTIFICATES[:2] if os.environ.get(name)), "")


def _faulty_variable(context: ssl.SSLContext) -> str:
    """Return which variable makes certificates unusable, found by trying it with `context`."""
    file, key_log = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSLKEYLOGFILE")
    try:
        if file:
            context.load_verify_locations(cafile=file)
    except (OSError, ValueError):
        return "SSL_CERT_FILE"
    # A folder without certificates is no fault to OpenSSL.
    return "SSLKEYLOGFILE" if key_log else certificate_variables()


def proxy_variables(scheme: str, host: str) -> str:
    """Return the variables that name a proxy for a URL, for people; "" if none does."""
    try:
        proxies = urllib.request.getproxies()
        if urllib.request.proxy_bypass(host):
            return ""
    except ValueError:
        return ""
    wanted = {f"{each}_proxy" for each in (scheme, "all") if proxies.get(each)}
    return " or ".join(_set_variables(wanted))


def proxy_fault(error: Exception, context: ssl.SSLContext) -> str:
    """Return which variable makes httpx raise `error`, and why."""
    import httpx  # noqa: PLC0415 - see above

    for name in _set_variables({"http_proxy", "https_proxy", "all_proxy"}):
        value = os.environ[name]
        try:
            httpx.AsyncHTTPTransport(
                verify=context, proxy=value if "://" in value else f"http://{value}"
            )
        except (httpx.InvalidURL, ValueError, ImportError, OSError) as fault:
            # The value may hold a password, which httpx hides.
            return f"{name} in the environment cannot be used: {str(fault)[:_MAX_REASON]}"
    names = " or ".join(_set_variables({"no_proxy"})) or "the environment"
    return f"{names} cannot be used: {str(error)[:_MAX_REASON]}"


def _set_variables(lower_names: set[str]) -> list[str]:
    return sorted(name for name in os.environ if name.lower() in lower_names and os.environ[name])
