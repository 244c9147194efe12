"""How to cite the suite and the papers that it follows."""

import suite

PAPERS = """\
@inproceedings{morcos2019one,
  title     = {One ticket to win them all: generalizing lottery ticket initializations across datasets and optimizers},
  author    = {Morcos, Ari S. and Yu, Haonan and Paganini, Michela and Tian, Yuandong},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2019},
  note      = {arXiv:1906.02773}
}

@inproceedings{yu2020playing,
  title     = {Playing the lottery with rewards and multiple languages: lottery tickets in {RL} and {NLP}},
  author    = {Yu, Haonan and Edunov, Sergey and Tian, Yuandong and Morcos, Ari S.},
  booktitle = {International Conference on Learning Representations},
  year      = {2020},
  note      = {arXiv:1906.02768}
}"""


def bibtex() -> str:
    """BibTeX of the suite at its version, and of the two papers."""
    return f"""\
@software{{lotterysuite,
  title   = {{lottery-suite: a benchmark suite for the lottery ticket hypothesis}},
  version = {{{suite.__version__}}},
  note    = {{Give the entry's id and digest with every number taken from its leaderboards}}
}}

{PAPERS}"""
