"""A matrix of transfers as a section of a report, and as JSON."""

from typing import Any

from suite.printing import jsonable
from suite.results import transfer_words
from suite.results.stability_page import Shown
from suite.results.transfer import Matrix, Pair, SourceRank
from suite.results.transfer_plots import gain_figure, matrix_figure


def matrix_section(matrix: Matrix, slug: str, shown: Shown) -> dict[str, Any]:
    """Everything the template shows of one matrix; `shown` writes a figure and gives its element."""
    findings, title = transfer_words.findings(matrix), transfer_words.title(matrix)
    below = "The tables below give every number."
    gains = any(pair.gains for pair in matrix.pairs.values())
    return {
        "matrix": matrix,
        "slug": slug,
        "title": title,
        "about": transfer_words.about(matrix),
        "findings": findings,
        "curves": shown(
            matrix_figure(matrix), slug, f"{title}: a panel for each target and source",
            " ".join([*findings, below]),
        ),
        "gains": shown(
            gain_figure(matrix), f"{slug}-gain", f"{title}: gain over random tickets",
            f"Heat map, rows are targets and columns sources. {below}",
        )
        if gains and matrix.levels
        else None,
        "fresh": transfer_words.fresh(matrix.pairs.values(), matrix.names),
    }  # fmt: skip


def matrix_json(matrix: Matrix) -> dict[str, Any]:
    """The same for programs: finite numbers or null."""
    found: dict[str, Any] = jsonable(
        {
            "scale": matrix.scale,
            "method": matrix.method,
            "carry": matrix.carry,
            "sources": matrix.sources,
            "targets": matrix.targets,
            "pairs": [_pair_json(pair) for pair in matrix.pairs.values()],
            "ranks": {target: [_rank_json(rank) for rank in ranks] for target, ranks in matrix.ranks.items()},
            "overall": {
                "targets": matrix.overall.targets,
                "ranks": [_rank_json(rank) for rank in matrix.overall.ranks],
            },
        }
    )
    return found


def _pair_json(pair: Pair) -> dict[str, Any]:
    target, source = pair.place
    gain = pair.gain
    over_all = None
    if gain is not None:
        over_all = {
            "difference": gain.difference, "ci95": gain.ci95, "p": gain.p, "n": gain.n, "verdict": gain.verdict,
            "reason": gain.reason, "replicates_needed": gain.replicates_needed,
        }  # fmt: skip
    by_density = [
        {
            "level": v.level, "density": v.density, "difference": v.difference, "ci95": v.ci95,
            "p_adjusted": v.p_adjusted, "n": v.n, "verdict": v.verdict, "replicates_needed": v.replicates_needed,
        }
        for v in pair.gains.values()
    ]  # fmt: skip
    return {
        "target": target,
        "source": source,
        "own": pair.own,
        "gain_over_random": over_all,
        "by_density": by_density,
        "drawn_anew": pair.fresh,
    }


def _rank_json(rank: SourceRank) -> dict[str, Any]:
    return {
        "source": rank.source,
        "place": rank.place,
        "mean": rank.area.mean,
        "sd": rank.area.sd,
        "ci95": rank.area.interval,
        "n": rank.area.n,
        "duels": [
            {
                "against": duel.against, "difference": duel.difference.value, "ci95": duel.difference.interval,
                "p": duel.difference.p, "verdict": duel.verdict, "replicates_needed": duel.replicates_needed,
            }
            for duel in rank.duels
        ],
    }  # fmt: skip
