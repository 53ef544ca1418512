"""One action of PyPI's transmission-rpc: HOST PORT ACTION ARGUMENTS; what it is told is printed."""

import sys

from transmission_rpc import Client

host, port, action, *arguments = sys.argv[1:]
client = Client(host=host, port=int(port))
match action:
    case "add":
        magnet, folder = arguments
        print(client.add_torrent(magnet, download_dir=folder, labels=["film"]).hash_string)
    case "list":
        for torrent in client.get_torrents():
            print(torrent.id, torrent.name, torrent.status, torrent.progress, torrent.labels)
    case "files":
        for file in client.get_torrent(int(arguments[0])).get_files():
            print(file.name, file.size, file.completed)
    case "peers":
        for peer in client.get_torrent(int(arguments[0])).peers:
            print(peer["address"], peer["clientName"], peer["rateToClient"])
    case "limit":
        number, rate = map(int, arguments)
        client.change_torrent(number, download_limit=rate, download_limited=True)
    case "all":
        # Every field that the library knows is read.
        torrent = client.get_torrent(int(arguments[0]))
        names = [name for name, value in vars(type(torrent)).items() if isinstance(value, property)]
        print(len([getattr(torrent, name) for name in names]))
    case "remove":
        client.remove_torrent(int(arguments[0]), delete_data=True)
