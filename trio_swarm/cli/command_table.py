"""The commands of `trio-swarm`: where each is defined, and the examples of its help.

Kept apart from the commands themselves, so that the help can name them all without importing them.
"""

from collections.abc import Mapping
from typing import NamedTuple

from trio_swarm.cli.lab import column_words
from trio_swarm.cli.output.help_texts import broken


class Command(NamedTuple):
    """One command; `summary` is the first line of the function's docstring."""

    place: str
    """`module:function` below `trio_swarm.cli`."""
    summary: str
    examples: tuple[str, ...]
    columns: column_words.Words = column_words.NONE
    """Meanings of the columns of its table."""

    @property
    def epilogue(self) -> str:
        """The columns and the examples, as the help shows them."""
        columns = f"{column_words.help_lines(self.columns)}\n\n" if self.columns else ""
        lines = [line for example in self.examples for line in broken(example)]
        return columns + "\n".join(["Examples:", *lines, ""])


COMMANDS = {
    "tracker": Command(
        "commands.tracker:tracker",
        "Run a tracker, where seeders register names and leechers find them.",
        (
            "trio-swarm tracker",
            "trio-swarm tracker --listen 192.168.1.5:6969 --interval 10 --lease 25",
        ),
    ),
    "tracker-status": Command(
        "commands.tracker_status:tracker_status",
        "Tell what a running tracker does and holds: peers, swarms, announces, refusals, workers.",
        (
            "trio-swarm tracker-status",
            "trio-swarm tracker-status --tracker udp://192.168.1.5:6969 --watch",
        ),
    ),
    "seed": Command(
        "commands.seed:seed",
        "Share files and folders until stopped.",
        (
            "trio-swarm seed holiday.mkv",
            "trio-swarm seed ~/photos --name photos-2024 --tracker udp://192.168.1.5:6969",
            "trio-swarm seed big.iso --torrent-out big.torrent --upload-limit 10MiB",
        ),
    ),
    "get": Command(
        "commands.get:get",
        "Fetch a name, a .torrent file, a magnet link or an info-hash; then go on sharing it.",
        (
            "trio-swarm get holiday.mkv",
            "trio-swarm get holiday.mkv --tracker udp://192.168.1.5:6969 --dir ~/films --no-seed",
            "trio-swarm get 'magnet:?xt=urn:btih:...' --seed-ratio 2",
            "trio-swarm get big.torrent --scheduler round-robin --record big.rec",
        ),
    ),
    "ls": Command(
        "commands.ls:ls",
        "List the names that trackers know, with sizes, seeders, leechers and info-hashes.",
        (
            "trio-swarm ls",
            "trio-swarm ls '*.iso' --tracker udp://192.168.1.5:6969",
            "trio-swarm ls --watch --tracker udp://a.example:6969 --tracker udp://b.example:6969",
            "trio-swarm ls --json",
        ),
    ),
    "create": Command(
        "commands.create:create",
        "Write a .torrent file for a file or folder, without sharing it.",
        (
            "trio-swarm create holiday.mkv",
            "trio-swarm create ~/photos -o photos.torrent --tracker udp://192.168.1.5:6969",
        ),
    ),
    "show": Command(
        "commands.show:show",
        "Show what a .torrent file or magnet link says.",
        (
            "trio-swarm show big.torrent",
            "trio-swarm show big.torrent --tree",
            "trio-swarm show 'magnet:?xt=urn:btih:...'",
        ),
    ),
    "verify": Command(
        "control.verifying:verify",
        "Compare data with a .torrent file; or let a running node hash its torrents anew.",
        (
            "trio-swarm verify photos.torrent ~/photos",
            "trio-swarm verify big.torrent ~/downloads --json",
            "trio-swarm verify holiday.mkv",
        ),
    ),
    "diff": Command(
        "commands.diff:diff",
        "Tell what a new version of a torrent shares with the old one, and what has to be fetched.",
        (
            "trio-swarm diff album-1.torrent album-2.torrent",
            "trio-swarm diff album-1.torrent album-2.torrent --json",
        ),
    ),
    "run": Command(
        "commands.run:run",
        "Run what a configuration file describes: a tracker, shares and fetches, all at once.",
        (
            "trio-swarm init seeder -o seeder.toml",
            "trio-swarm run seeder.toml",
        ),
    ),
    "status": Command(
        "control.status:status",
        "Show the torrents of a running node, or all about some of them.",
        (
            "trio-swarm status",
            "trio-swarm status --watch",
            "trio-swarm status holiday.mkv --json",
            "trio-swarm status --config peer.toml",
            "trio-swarm status --url http://192.168.1.5:9091 --token-file token",
        ),
    ),
    "add": Command(
        "control.add:add",
        "Add torrents to a running node: it fetches them, or shares them with --share.",
        (
            "trio-swarm add holiday.mkv",
            "trio-swarm add big.torrent --dir ~/films --label films",
            "trio-swarm add 'magnet:?xt=urn:btih:...' --up 500k --paused",
            "trio-swarm add ~/photos --share --name photos-2024",
        ),
    ),
    "remove": Command(
        "control.remove:remove",
        "Take torrents off a running node; their data stays, unless --delete-data.",
        (
            "trio-swarm remove holiday.mkv",
            "trio-swarm remove holiday.mkv 3f786850 --delete-data --yes",
        ),
    ),
    "pause": Command(
        "control.telling:pause",
        "Pause torrents of a running node: no peers, no announces, until they are resumed.",
        ("trio-swarm pause holiday.mkv", "trio-swarm pause --all"),
    ),
    "resume": Command(
        "control.telling:resume",
        "Let paused torrents of a running node go on.",
        ("trio-swarm resume holiday.mkv", "trio-swarm resume --all"),
    ),
    "limit": Command(
        "control.limit:limit",
        "Change limits of a running node, or of one of its torrents; without any, tell them.",
        (
            "trio-swarm limit",
            "trio-swarm limit --up 20Mbit --down none",
            "trio-swarm limit holiday.mkv --up 500k --slots 4 --ratio 2",
        ),
    ),
    "files": Command(
        "control.contents:files",
        "List the files of a torrent of a running node, and how much of each is here.",
        ("trio-swarm files photos",),
    ),
    "peers": Command(
        "control.contents:peers",
        "List the peers of a torrent of a running node, and what they give and take.",
        ("trio-swarm peers holiday.mkv",),
    ),
    "trackers": Command(
        "control.contents:trackers",
        "List the trackers of a torrent of a running node, and what they answered.",
        ("trio-swarm trackers holiday.mkv",),
    ),
    "move": Command(
        "control.telling:move",
        "Move the data of a torrent of a running node to another folder, and go on there.",
        (
            "trio-swarm move holiday.mkv ~/films",
            "trio-swarm move holiday.mkv /media/films --keep-data",
        ),
    ),
    "rename": Command(
        "control.telling:rename",
        "Give a file or folder of a torrent of a running node another name on the disk.",
        (
            "trio-swarm rename holiday.mkv . 'Summer 2026.mkv'",
            "trio-swarm rename album 01/track.flac 'First song.flac'",
        ),
    ),
    "reannounce": Command(
        "control.telling:reannounce",
        "Ask the trackers of torrents of a running node for peers now.",
        ("trio-swarm reannounce holiday.mkv",),
    ),
    "scheduler": Command(
        "control.scheduler:scheduler",
        "Let a running download go on with another strategy; without a name, tell which it has.",
        (
            "trio-swarm scheduler holiday.mkv",
            "trio-swarm scheduler holiday.mkv round-robin --option chunk_kib=64",
        ),
    ),
    "log": Command(
        "control.log:log",
        "Print the latest log lines of a running node.",
        ("trio-swarm log", "trio-swarm log --follow", "trio-swarm log --level warning"),
    ),
    "reload": Command(
        "control.node:reload",
        "Let a running node read its configuration file anew, and tell what changes.",
        ("trio-swarm reload --dry-run", "trio-swarm reload"),
    ),
    "stop": Command(
        "control.node:stop",
        "End a running node, and wait until it has ended.",
        ("trio-swarm stop", "trio-swarm stop --config peer.toml"),
    ),
    "check": Command(
        "commands.config:check",
        "Find everything that is wrong with a configuration file.",
        (
            "trio-swarm check seeder.toml",
            "trio-swarm check seeder.toml --diff seeder.toml.bak",
        ),
    ),
    "init": Command(
        "commands.config:init",
        "Write a complete configuration file to start from, with every key explained.",
        (
            "trio-swarm init seeder",
            "trio-swarm init leecher -o ~/peer.toml",
        ),
    ),
    "schedulers": Command(
        "lab.schedulers:schedulers",
        "List the strategies: built in, from installed packages, and from --plugin files.",
        (
            "trio-swarm schedulers",
            "trio-swarm schedulers --plugin ./my_strategy.py",
        ),
    ),
    "simulate": Command(
        "lab.simulate:simulate",
        "Play a swarm on a virtual clock, and compare strategies in it.",
        (
            "trio-swarm simulate config/scenarios/flash-crowd.toml",
            "trio-swarm simulate crowd.toml --scheduler rarest-first --scheduler round-robin",
            "trio-swarm simulate crowd.toml --scheduler bandwidth-weighted:pieces=rarest",
            "trio-swarm simulate crowd.toml --plot crowd.html",
            "trio-swarm simulate crowd.toml --record l1.rec --of L1",
            "trio-swarm simulate crowd.toml --plugin ./mine.py --scheduler mine --seeds 20",
        ),
        column_words.SIMULATED,
    ),
    "replay": Command(
        "lab.replay:replay",
        "Play a recorded download again with other strategies, and compare them.",
        (
            "trio-swarm get holiday.mkv --record holiday.rec",
            "trio-swarm replay holiday.rec --scheduler round-robin --scheduler bandwidth-weighted",
            "trio-swarm replay holiday.rec --plugin ./mine.py --scheduler mine --seeds 5",
        ),
        column_words.REPLAYED,
    ),
    "explain": Command(
        "control.explain:explain",
        "Tell why a piece was asked of a peer: from a recording, or live from a running node.",
        (
            "trio-swarm explain holiday.mkv --follow",
            "trio-swarm explain holiday.rec",
            "trio-swarm explain holiday.rec --piece 17",
            "trio-swarm explain holiday.rec --peer 192.168.1.7:6881",
            "trio-swarm explain holiday.rec --at 2.5",
        ),
        column_words.EXPLAINED,
    ),
    "plot": Command(
        "lab.plot:plot",
        "Draw a recorded download: how far it was when, who sent what, and how rare pieces were.",
        (
            "trio-swarm get holiday.mkv --record holiday.rec",
            "trio-swarm plot holiday.rec -o holiday.html",
            "trio-swarm plot holiday.rec -o holiday.png",
            "trio-swarm plot alice.rec bob.rec carol.rec -o swarm.html",
        ),
    ),
    "demo": Command(
        "commands.demo:demo",
        "Show everything at work on this machine, and compare the schedulers.",
        (
            "trio-swarm demo",
            "trio-swarm demo --size 64MiB",
            "trio-swarm demo holiday.mkv --keep",
        ),
    ),
}


class Group(NamedTuple):
    """Commands below a word of their own, as in `trio-swarm plugin new`."""

    summary: str
    commands: Mapping[str, Command]


GROUPS = {
    "plugin": Group(
        "Write a strategy of your own, and test what it promises.",
        {
            "new": Command(
                "lab.plugin:new",
                "Write a package with a strategy to start from, and a test of all it promises.",
                (
                    "trio-swarm plugin new near-first",
                    "trio-swarm plugin new fair-turns --axis choker --out ~/fair-turns",
                ),
            ),
            "check": Command(
                "lab.plugin:check",
                "Test what a strategy promises, and show how it does beside the built-in ones.",
                (
                    "trio-swarm plugin check near-first",
                    "trio-swarm plugin check mine --plugin ./mine.py --option window=4",
                ),
                column_words.CHECKED,
            ),
        },
    ),
}
