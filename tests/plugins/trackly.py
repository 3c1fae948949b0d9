"""Trackly, a provider that does not exist: as a package of somebody else would bring it in."""

from types import MappingProxyType

from worker.domain.calls import PROJECT, Action
from worker.domain.catalogue import Catalogue, Kind
from worker.domain.filters import Filter, FilterType, portable
from worker.domain.outcomes import Verdict
from worker.providers.dialect import Cursors, Dialect, Fields, Inline, Listing, Source
from worker.providers.reading import envelope_at
from worker.providers.verdicts import DELETES, READS, Row

CARD = "card"
FINE = frozenset({"ok"})

BOARDS = Dialect(
    provider="trackly",
    name="v1",
    catalogue=Catalogue(
        provider="trackly",
        project=Kind(name=PROJECT, id_pattern="b_[a-z0-9]{4,20}"),
        children=(Kind(name=CARD, id_pattern="c_[a-z0-9]{4,20}", source=CARD),),
    ),
    authorization="Token {token}",
    selector="team",
    listing=Listing(
        path="/boards",
        items=("boards",),
        paging=Cursors(cursor="after", per_page="first", size=50, following=("after",)),
    ),
    project=Fields(id=("id",), name=("title",), created=("made_at",)),
    sources=(
        Source(name=PROJECT, path="/boards/{project}", project=("board",)),
        Source(
            name=CARD,
            path="/boards/{project}/cards",
            children=(
                Inline(kind=CARD, items=("cards",), fields=Fields(id=("id",), name=("title",))),
            ),
        ),
    ),
    deletes=MappingProxyType(
        {PROJECT: "/boards/{id}", CARD: "/boards/{parent}/cards/{id}"},
    ),
    envelope=envelope_at(
        codes=(("status",),),
        messages=(("why",),),
        words=frozenset({"ok", "gone", "locked", "slow_down"}),
    ),
    rows=(
        Row(verdict=Verdict.DELETED, actions=DELETES, statuses=frozenset({200}), codes=FINE),
        Row(verdict=Verdict.SEEN, actions=READS, statuses=frozenset({200}), codes=FINE),
        Row(
            verdict=Verdict.ABSENT,
            actions=frozenset({Action.READ, Action.DELETE}),
            statuses=frozenset({404}),
            codes=frozenset({"gone"}),
        ),
    ),
    filters=(
        Filter(name="state", type=FilterType.CHOICE, choices=("open", "archived")),
        *portable({"created_before": "made_before"}),
    ),
)
