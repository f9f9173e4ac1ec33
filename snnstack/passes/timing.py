"""Decide which projections act in the same step and which in a later one.

Feed-forward edges act in the same step, recurrent ones a step later. An edge is recurrent
when it closes a loop; of a loop, the edge that leads back from the output toward the input is
the one. An explicit delay always wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from snnstack.errors import ModelError, fail

Pair = tuple[str, str]


def distances(inputs: Iterable[str], pairs: Iterable[Pair]) -> dict[str, int]:
    """Smallest number of projections from any of `inputs` to each name it can reach."""
    after: dict[str, list[str]] = {}
    for source, target in pairs:
        after.setdefault(source, []).append(target)
    found = dict.fromkeys(inputs, 0)
    front = list(found)
    while front:
        names = [t for s in front for t in after.get(s, []) if t not in found]
        depth = found[front[0]] + 1
        found.update(dict.fromkeys(names, depth))
        front = list(dict.fromkeys(names))
    return found


def same_step(
    inputs: Sequence[str],
    outputs: Sequence[str],
    undecided: Sequence[Pair],
    fixed: Sequence[Pair],
) -> set[Pair]:
    """The pairs of `undecided` that can act in the same step, given that `fixed` do.

    Pairs that lead from the input toward the output are tried first: those that gain most in
    (distance from the inputs) - (distance to the outputs).
    """
    pairs = [*undecided, *fixed]
    start = distances(inputs, pairs)
    end = distances(outputs, [(target, source) for source, target in pairs])
    after: dict[str, set[str]] = {}
    for source, target in fixed:
        after.setdefault(source, set()).add(target)

    def depth(name: str) -> int:
        return start.get(name, 0) - end.get(name, 0)

    def order(pair: Pair) -> tuple[int, int, str, str]:
        source, target = pair
        return depth(source) - depth(target), start.get(source, 0), source, target

    chosen: set[Pair] = set()
    for source, target in sorted(set(undecided), key=order):
        if source in inputs or not _reaches(after, target, source):
            after.setdefault(source, set()).add(target)
            chosen.add((source, target))
    return chosen


def _reaches(after: Mapping[str, set[str]], start: str, goal: str) -> bool:
    seen, front = {start}, [start]
    while front:
        name = front.pop()
        if name == goal:
            return True
        new = after.get(name, set()) - seen
        seen |= new
        front.extend(new)
    return False


def update_order(names: Sequence[str], now: Iterable[Pair], far: Mapping[str, int]) -> list[str]:
    """`names` such that every same-step pair points forward; ties by distance, then name.

    Raises ModelError naming the loop if the same-step pairs form one.
    """
    before: dict[str, set[str]] = {name: set() for name in names}
    for source, target in now:
        if source in before:
            before[target].add(source)
    ordered: list[str] = []
    while before:
        ready = [name for name, sources in before.items() if not sources]
        if not ready:
            loop = " -> ".join(_loop(before))
            what = f"populations act on each other in the same step: {loop}"
            raise fail(ModelError, "graph", what, "give one edge of the loop a delay of 1 step")
        name = min(ready, key=lambda n: (far.get(n, 0), n))
        ordered.append(name)
        del before[name]
        for sources in before.values():
            sources.discard(name)
    return ordered


def _loop(before: Mapping[str, set[str]]) -> list[str]:
    walked = [min(before)]
    while walked.count(walked[-1]) < 2:
        walked.append(min(before[walked[-1]]))
    return walked[walked.index(walked[-1]) :][::-1]
