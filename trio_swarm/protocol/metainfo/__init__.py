"""What is shared: bencode, the info dictionary, .torrent files, magnet links. Pure."""
