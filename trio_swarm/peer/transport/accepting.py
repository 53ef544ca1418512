"""Peers that dial us: from the listening socket to the torrent they ask for."""

from collections.abc import Callable, Collection
from typing import NoReturn

import trio

from trio_swarm import events
from trio_swarm.identities import InfoHash, PeerId
from trio_swarm.peer.transport.admission import Admission
from trio_swarm.peer.transport.errors import PEER_ERRORS
from trio_swarm.peer.transport.handshaking import (
    Established,
    UpgradeOf,
    answer_handshake,
    no_upgrade,
)
from trio_swarm.peer.transport.streams import PeerStream, SocketStream
from trio_swarm.storage.descriptors import TOO_MANY, free_descriptors

ACCEPT_AGAIN = 0.1
"""Seconds after which it is tried again to accept: a peer that leaves gives back a descriptor."""


class IncomingPeers:
    """Shakes hands with the peers that dial a node and hands them on; a failure is that peer's.

    `info_hashes` are those of the node's torrents, now and later; `upgrade_of`: see
    `answer_handshake`. `admit` takes a peer whose
    handshake is done, or closes its stream.
    """

    def __init__(
        self,
        *,
        peer_id: PeerId,
        info_hashes: Collection[InfoHash],
        upgrade_of: UpgradeOf = no_upgrade,
        admission: Admission,
        admit: Callable[[Established], None],
        emit: Callable[[events.Event], None],
    ) -> None:
        self._peer_id = peer_id
        self._info_hashes = info_hashes
        self._upgrade_of = upgrade_of
        self._admission = admission
        self._admit = admit
        self._emit = emit

    async def accept(self, listener: trio.SocketListener) -> NoReturn:
        """Accept peers at one socket, for ever."""
        is_refused = False
        async with trio.open_nursery() as nursery:
            while True:
                await self._admission.wait_for_room()
                try:
                    accepted = await listener.accept()
                except OSError as error:
                    # Out of descriptors (EMFILE) passes when a peer leaves; anything else too.
                    if error.errno in TOO_MANY and free_descriptors():
                        continue
                    if not is_refused:
                        self._emit(
                            events.Waiting(info_hash="", share_name="", reason=f"accept: {error}")
                        )
                    is_refused = True
                    await trio.sleep(ACCEPT_AGAIN)
                    continue
                is_refused = False
                nursery.start_soon(self._take_over, accepted.socket)

    async def _take_over(self, accepted: trio.socket.SocketType) -> None:
        try:
            stream = SocketStream.from_trio(accepted)
        except OSError:  # the peer has left already
            accepted.close()
            return
        await self.welcome(stream)

    async def welcome(self, stream: PeerStream) -> None:
        """Shake hands with the peer at the other end of a stream of any kind, or close it."""
        try:
            with self._admission.limited_handshake() as scope:
                await self._shake_hands(stream)
            if scope.cancelled_caught:
                stream.close()
        except PEER_ERRORS:
            stream.close()
        except BaseException:
            stream.close()
            raise

    async def _shake_hands(self, stream: PeerStream) -> None:
        if not await self._admission.wait_for_turn(stream.remote[0]):
            stream.close()
            return
        self._admit(
            await answer_handshake(
                stream,
                peer_id=self._peer_id,
                info_hashes=self._info_hashes,
                upgrade_of=self._upgrade_of,
            )
        )
