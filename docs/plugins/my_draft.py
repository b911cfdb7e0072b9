"""The draft `my_draft`: what came after the last token, each time that this was seen lately."""

from collections import deque
from itertools import pairwise

from seqgen.decoders import Draft, Drafter, drafts
from seqgen.options import Size


@drafts.register("my_draft")
class MyDraft(Draft):
    """What followed the last token when it stood before, among the last `window` tokens."""

    def __init__(self, window: Size = 200) -> None:
        self.window = window

    def drafter(self, tokens, memory):
        return _Follower(tokens, self.window)


class _Follower(Drafter):
    def __init__(self, tokens, window):
        self.recent = deque(tokens, maxlen=window)

    def propose(self, count, choose):
        recent = list(self.recent)
        followers = dict(pairwise(recent))  # the latest counts
        found = recent[-1:]
        while len(found) <= count and found[-1] in followers:
            found.append(followers[found[-1]])
        return found[1:]

    def accept(self, tokens):
        self.recent.extend(tokens)
