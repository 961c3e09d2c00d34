"""The repositories of a made-up archive: their names, and how popular each is on a day."""

import hashlib
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# name, first day, share of the launches, share of the repositories
_PROVIDERS = (
    ("GitHub", date.min, 0.9698, 0.949),
    ("Gist", date(2019, 4, 3), 0.015, 0.022),
    ("Git", date.min, 0.011, 0.016),
    ("GitLab", date.min, 0.004, 0.011),
    ("Zenodo", date(2019, 6, 13), 0.0001, 0.0006),
    ("Hydroshare", date(2019, 11, 20), 0.00004, 0.0004),
    ("Figshare", date(2019, 8, 20), 0.00003, 0.0004),
    ("Dataverse", date(2019, 12, 16), 0.00002, 0.0003),
    ("CKAN", date(2025, 3, 1), 0.00001, 0.0003),
)

_LOUDEST = (
    "ipython/ipython-in-depth/master",
    "jupyterlab/jupyterlab-demo/master",
    "binder-examples/requirements/master",
    "jupyterlab/jupyterlab-demo/try.jupyter.org",
    "ines/spacy-io-binder/live",
    "DS-100/textbook/master",
    "bokeh/bokeh-notebooks/master",
    "binder-examples/r/master",
    "QuantStack/xeus-cling/stable",
    "binder-examples/julia-python/master",
    "norvig/pytudes/master",
    "jakevdp/PythonDataScienceHandbook/master",
    "sympy/live/notebooks",
    "dask/dask-examples/main",
    "trekhleb/homemade-machine-learning/master",
    "scikit-learn/scikit-learn/1.0.X",
)
_ZIPF = (1.52, 2.5)  # exponent, flattening of the head

_OWNERS = (
    *("adams", "bauer", "chen", "data-lab", "dubois", "earthlab", "ferrari", "geo-hub", "hansen"),
    *("ito", "jensen", "kim", "kovacs", "lab-of-physics", "martin", "mlcourse", "novak"),
    *("okafor", "open-science", "patel", "py-class", "quantum", "rossi", "schmidt", "silva"),
    *("stats-group", "tanaka", "teach-yourself", "uni-course", "weber", "yilmaz", "zhang"),
)
_WORDS = (
    *("algebra", "analysis", "astro", "bayes", "binder", "biology", "calculus", "climate"),
    *("course", "data", "deep", "demo", "dynamics", "economics", "energy", "examples"),
    *("exercises", "finance", "genomics", "geo", "graph", "images", "intro", "jupyter"),
    *("learning", "lecture", "linear", "maps", "methods", "models", "network", "notebooks"),
    *("numerics", "optics", "physics", "plots", "python", "quantum", "regression", "signal"),
    *("statistics", "survey", "text", "tutorial"),
)
_BRANCHES = ("dev", "gh-pages", "v1.0", "v2.1.3", "feature/binder", "fix/setup", "été", "2021")
_SITES = ("https://jupyter.org", "https://docs.example.org", "https://course.example.edu", "null")


@dataclass(frozen=True)
class Population:
    """Slots of falling popularity, each held by one repository after another."""

    seed: int
    weight: Floats
    noise: Floats
    provider: Ints
    failing: Floats
    with_token: Floats
    life: Ints
    phase: Ints
    commit_days: Ints

    @classmethod
    def from_seed(cls, seed: int, slots: int) -> "Population":
        """Draw the repositories of an archive."""
        rng = np.random.default_rng(seed)
        rank = np.arange(slots)
        loud = rank < len(_LOUDEST)
        exponent, flat = _ZIPF
        by_provider = np.array([share for *_, share in _PROVIDERS])
        provider = rng.choice(len(_PROVIDERS), size=slots, p=by_provider / by_provider.sum())
        failing = rng.choice([0.01, 0.2, 0.95], size=slots, p=[0.79, 0.09, 0.12])
        with_token = rng.choice([1.0, 0.0, 0.9], size=slots, p=[0.8, 0.14, 0.06])
        life = rng.lognormal(np.log(250), 0.9, slots).astype(np.int64) + 14
        return cls(
            seed=seed,
            weight=np.power(rank + flat, -exponent, dtype=np.float64),
            noise=np.where(loud, 0.12, 0.6),
            provider=np.where(loud, 0, provider),
            failing=np.where(loud, 0.03, failing),
            with_token=np.where(loud, 0.9, with_token),
            life=np.where(loud, 10**7, life),
            phase=np.where(loud, 0, rng.integers(0, life)),
            commit_days=rng.lognormal(np.log(25), 1.0, slots).astype(np.int64) + 2,
        )

    def shares(self, day: date, rng: np.random.Generator) -> Floats:
        """Share of a day's launches each slot gets."""
        age = (day.toordinal() + self.phase) % self.life / self.life
        popularity = self.weight * (0.2 + 3 * np.sqrt(age) * (1 - age))
        popularity *= np.exp(self.noise * rng.standard_normal(len(self.weight)))
        share = np.array([share if first <= day else 0.0 for _, first, share, _ in _PROVIDERS])
        share[0] += 1 - share.sum()
        of_provider = np.bincount(self.provider, popularity, minlength=len(_PROVIDERS))
        scaled = popularity * (share / np.maximum(of_provider, 1e-300))[self.provider]
        return np.asarray(scaled / scaled.sum())

    def fields(self, slot: int, day: date) -> tuple[str, str, str, str]:
        """Provider, spec, commit and request origin of the repository in a slot."""
        ordinal, life = day.toordinal(), int(self.life[slot])
        tenant, age = divmod(ordinal + int(self.phase[slot]), life)
        digest = hashlib.sha256(f"{self.seed}/{slot}/{tenant}".encode()).digest()
        name = _PROVIDERS[self.provider[slot]][0]
        spec = _LOUDEST[slot] if slot < len(_LOUDEST) else _spec(name, digest, ordinal - age)
        commit = f"{spec}/{(ordinal + slot) // int(self.commit_days[slot])}"
        site = _SITES[digest[20] % len(_SITES)] if digest[21] < 16 else ""
        return name, spec, hashlib.sha256(commit.encode()).hexdigest()[:40], site


def _spec(provider: str, digest: bytes, born: int) -> str:
    """Spec of a made-up repository, as BinderHub writes it for this provider."""
    number = int.from_bytes(digest[:4], "big")
    owner = f"{_OWNERS[digest[4] % len(_OWNERS)]}{digest[5] * 4 if digest[6] < 160 else ''}"
    repo = "-".join(_WORDS[byte % len(_WORDS)] for byte in digest[8 : 10 + digest[7] % 2])
    commit = hashlib.sha256(digest).hexdigest()[:40]
    if digest[12] < 26:
        ref = _BRANCHES[digest[13] % len(_BRANCHES)]
    elif digest[12] < 32:
        ref = commit
    elif digest[12] < 64:
        ref = "HEAD"
    else:
        ref = "main" if born > date(2020, 10, 1).toordinal() and digest[12] < 220 else "master"
    if provider == "GitHub":
        return f"{owner}/{repo}/{ref}"
    if provider == "Gist":
        return f"{owner}/{digest[:16].hex()}/{'HEAD' if ref == 'HEAD' else 'master'}"
    if provider == "Git":
        return f"https%3A%2F%2Fgit.example.org%2F{owner}%2F{repo}/{commit}"
    if provider == "GitLab":
        return f"{owner}%2F{repo}/{ref}"
    return {
        "Zenodo": f"10.5281/zenodo.{number % 7_000_000}",
        "Hydroshare": f"10.4211/hs.{digest[:16].hex()}",
        "Figshare": f"10.6084/m9.figshare.{number % 20_000_000}.v1",
        "Dataverse": f"10.7910/DVN/{digest[:3].hex().upper()}",
        "CKAN": f"https%3A%2F%2Fckan.example.org%2Fdataset%2F{repo}-{number % 1000}",
    }[provider]
