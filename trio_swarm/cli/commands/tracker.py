"""`trio-swarm tracker`: the meeting point of seeders and leechers."""

import trio_swarm
from trio_swarm.cli.options import OutputOptions, Words, flagged
from trio_swarm.cli.output.reporting import make_reporter
from trio_swarm.cli.running import run_until_interrupted
from trio_swarm.config.values import parse_listen, parse_network
from trio_swarm.errors import ConfigError
from trio_swarm.tracker.settings import TrackerSettings

INTERRUPTED = 0
"""Exit code of a tracker that was told to stop, which is its normal end."""
_DEFAULT = TrackerSettings()


async def tracker(
    *,
    listen: str = f":{_DEFAULT.port}",
    interval: float = _DEFAULT.interval,
    lease: float | None = None,
    http: bool = _DEFAULT.http,
    proxy: Words = (),
    output: OutputOptions | None = None,
) -> int:
    """Run a tracker, where seeders register names and leechers find them.

    It keeps everything in memory: after a restart the heartbeats of the peers fill it again. Any
    BitTorrent client can use it, over UDP or HTTP.

    Parameters
    ----------
    listen
        Where to serve (UDP, TCP): HOST:PORT, :PORT or PORT, on every address unless HOST is given.
    interval
        Seconds between the heartbeats that peers are asked for.
    lease
        Seconds after its last heartbeat that a peer is forgotten; 2.5 intervals if not given. Other
        clients that announce less often than they are asked to have longer.
    http
        Answer over HTTP as well, at the same address and port.
    proxy
        A network (10.0.0.0/8, ::1) of reverse proxies, whose X-Forwarded-For says who asks.
    output
        How it talks.

    """
    reporter = make_reporter(output or OutputOptions())
    host, port = flagged("--listen", parse_listen, listen)
    proxies = tuple(flagged("--proxy", parse_network, network) for network in proxy)
    settings = TrackerSettings(
        host=host, port=port, interval=interval, lease=lease, http=http, proxies=proxies
    )
    try:
        settings.check()
    except ConfigError as error:
        text = str(error).replace("the interval (", "--interval (")
        raise ConfigError(f"--{text}") from error  # its key is the flag's name

    async def serve() -> int:
        await trio_swarm.serve_tracker(settings, on_event=reporter.event)

    return await run_until_interrupted(serve, reporter, interrupted=lambda: INTERRUPTED)
