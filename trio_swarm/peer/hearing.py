"""What a peer's wire heard, as calls of its conversation."""

from trio_swarm.engine.conversation import Conversation
from trio_swarm.protocol.wire import messages as msg
from trio_swarm.schedulers.api import UploadRequest


def hear(conversation: Conversation, event: msg.WireEvent, now: float) -> int:
    """Have a conversation hear an event that is no block; returns what it is charged.

    What changes nothing ends there: nobody is woken, nothing is planned. Raises IdleTalkError.
    """
    charged = 1  # Keep-alives and ports need no answer.
    match event:
        case msg.RequestReceived(piece, begin, length):
            charged = conversation.heard_request(UploadRequest(piece, begin, length))
        case msg.HasPiece(piece):
            charged = conversation.heard_haves(1 << piece)
        case msg.HasPieces(pieces):
            charged = conversation.heard_pieces(pieces, now)
        case msg.Choked() | msg.Unchoked():
            charged = conversation.heard_choke(isinstance(event, msg.Choked), now)
        case msg.Interested() | msg.NotInterested():
            charged = conversation.heard_interest(isinstance(event, msg.Interested), now)
        case msg.CancelReceived(piece, begin, length):
            charged = conversation.heard_cancel(UploadRequest(piece, begin, length))
        case msg.RejectReceived(piece, begin, length):
            charged = conversation.heard_reject(piece, begin, length, now)
        case msg.AllowedFast(piece):
            charged = conversation.heard_allowed(1 << piece)
        case msg.Suggested(piece):
            charged = conversation.heard_suggested(1 << piece)
    return charged
