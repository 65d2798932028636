"""Alternating CCE: codebooks learned by gradient, assignments taken from the loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import _validate
from ...rng import generator
from ...threads import for_each, single_threaded_blas
from ..gaussian_prior import GaussianPriors, as_parabola
from ..row_losses import CURVATURES, RowLosses, row_losses
from ..seeding import least_cost, seed_codewords
from ..sorted_rows import ROWS_AT_ONCE, SortedRows
from .base import GatherTable, Term, chunk_width, random_codebook

if TYPE_CHECKING:
    from ..training import EpochContext

EVALUATIONS = ("auto", "exact", "quadratic")
STATES = ("keep", "reset")
PRIORS = ("auto", "gaussian", "popularity")

WORK_A_ROW = 100
"""Multiplications of IDs by codewords in the time of two epochs, for each row and column."""

LEAST_SAMPLE, SAMPLE_PER_CODEWORD = 1024, 16
"""IDs that codewords are seeded from: the larger of the two, or all."""

PRIOR_SAMPLE = 128
"""IDs that a Gaussian prior is fitted to, or all."""


@dataclass(frozen=True)
class AlternatingOptions:
    """When and how IDs move to other codewords.

    Attributes
    ----------
    n_chunks : int
        Chunks of columns, each with a codebook and assignments.
    start_scale : float
        Starting values are those of other tables times this.
    first_epoch : int
        IDs first move after this epoch.
    reassign_every : int
        Epochs from one reassignment to the next.
    reassign_until : float
        Share of all epochs after which no ID moves.
    evaluation : {"auto", "exact", "quadratic"}
        Exact: each codeword is tried on each of the ID's rows. Quadratic: the best is chosen by
        gradient and curvature, one pass over the rows whatever the number of codewords, and a
        move is made if it lowers the loss itself; as good as exact for squared loss. Auto: exact
        up to 8 codewords a chunk, for logistic loss and factor models.
    curvature : {"gauss-newton", "majorizer"}
        Of the quadratic evaluation of logistic loss: its second derivative, or that of a parabola
        above it, whose moves are shorter.
    damping : float
        Multiplies the curvature; above 1, moves are shorter.
    margin : float
        A move must lower the summed loss of the ID's rows by more than this.
    norm_penalty : float
        Times half of a codeword's squared length, added to the summed loss of an ID's rows: a
        Gaussian prior on the ID's vector, which weighs most where rows are few.
    popularity_prior : float
        Times minus the logarithm of a codeword's share of all IDs, likewise: IDs of few rows
        gather in the codewords that many have. At 1 it is the length of the code (in nats; with
        squared loss a nat is twice the mean squared error).
    prior : {"auto", "gaussian", "popularity"}
        What holds back IDs whose rows tell little. Popularity: the two above. Gaussian, in their
        place: the vectors of a field's IDs are drawn from a normal distribution in each chunk,
        which is fitted to the rows after each epoch; an ID moves to the codeword nearest its
        posterior mean. Auto: Gaussian where IDs have few rows (see ``enough_rows``), unless the
        evaluation is exact.
    prior_turns : int or None
        A chunk of IDs with a Gaussian prior has so many turns at most: a prior that is fitted on
        and on to what its own moves have led to comes to follow noise. None: 1, and 1 more for
        each doubling of the codewords, as the fewer there are, the sooner it does.
    uncertainty : float
        Times the posterior covariance of the other field's vectors, on which an ID with a Gaussian
        prior counts: these are known from few rows, too. For factor models only.
    max_rows : int or None
        Rows looked at, spread evenly over all, which the others are taken to be like; None: all
        rows, of a memory map 2^22.
    max_rows_per_id : int
        Rows looked at for one ID; the others are taken to be like them. Bounds the memory.
    chunks_at_once : int or None
        Chunks reassigned after an epoch, in turn; None: all where IDs have rows enough (see
        ``enough_rows``), else half, or about as few as have their ``prior_turns`` by the end; and
        fewer where codewords are so many that multiplying by them would take longer than two
        training epochs.
    optimizer_state : {"keep", "reset"}
        Whether the optimiser's running means of the codebooks are set to zero when IDs move.
    seed_until : float
        Share of all epochs up to which codebooks are seeded anew before IDs move: from k-means
        of the vectors that would be best for the IDs' own rows. For factor models only, and where
        IDs have no Gaussian prior, with which they find their codewords as well.
    seeded_at_once : int
        Chunks seeded anew after an epoch, in turn.
    seed_rows : float
        Codebooks are seeded anew if the IDs of every field have this times ``dim`` rows on
        average: fewer do not tell what vector an ID should have.
    enough_rows : float
        IDs have rows enough if these are this times ``dim`` on average.
    """

    n_chunks: int = 4
    start_scale: float = 1.0
    first_epoch: int = 1
    reassign_every: int = 1
    reassign_until: float = 1.0
    evaluation: str = "quadratic"
    curvature: str = "gauss-newton"
    damping: float = 1.0
    margin: float = 0.0
    norm_penalty: float = 0.0
    popularity_prior: float = 0.6
    prior: str = "auto"
    prior_turns: int | None = None
    uncertainty: float = 0.5
    max_rows: int | None = None
    max_rows_per_id: int = 1 << 16
    chunks_at_once: int | None = None
    optimizer_state: str = "keep"
    seed_until: float = 0.5
    seeded_at_once: int = 1
    seed_rows: float = 1.5
    enough_rows: float = 4.0

    def __post_init__(self) -> None:
        for name in (
            "n_chunks", "first_epoch", "reassign_every", "max_rows_per_id", "seeded_at_once",
        ):  # fmt: skip
            _validate.integer(getattr(self, name), name, low=1)
        for name in ("max_rows", "chunks_at_once", "prior_turns"):
            if getattr(self, name) is not None:
                _validate.integer(getattr(self, name), name, low=1)
        _validate.choice(self.evaluation, "evaluation", EVALUATIONS)
        _validate.choice(self.prior, "prior", PRIORS)
        if self.prior == "gaussian" and self.evaluation == "exact":
            raise ValueError(
                "prior is gaussian and evaluation is exact; expected a quadratic evaluation, by "
                "which posterior means are found. Choose another of either."
            )
        _validate.choice(self.curvature, "curvature", CURVATURES)
        _validate.choice(self.optimizer_state, "optimizer_state", STATES)
        for name in (
            "start_scale", "damping", "margin", "norm_penalty", "popularity_prior", "uncertainty",
            "seed_rows", "enough_rows",
        ):  # fmt: skip
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be a finite number of at least 0, got {value}.")
        for name in ("reassign_until", "seed_until"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"{name} must be a share of the epochs from 0 to 1, got {getattr(self, name)}."
                )


MAPPED_ROWS = 1 << 22
"""Rows of a memory map that are looked at, unless told otherwise: they are read into memory."""


class AlternatingEmbedding(GatherTable):
    """Columns in chunks, each with ``params_per_dim`` codewords; an ID has one in each chunk.

    Assignments start at random, codebooks are trained by gradient, and after an epoch each ID
    moves, chunk by chunk, to the codeword with the least loss on its own training rows, all else
    fixed. Where IDs have many rows, codebooks are seeded anew in the first epochs, or moves would
    soon end where no single one helps. IDs of few rows are held back by a prior, or they would
    fit noise. An ID's rows are its own within its field, so all IDs of a
    field move at once. No table is ever formed: what is held beside codebooks and assignments is
    one block of IDs a thread.

    ``H`` of a chunk is the assignment matrix ``A``, one 1 in each row.

    References
    ----------
    THEORY, section 6: `alternating-monotone`, and `alternating-is-lloyd` for squared loss and one
    field.

    Examples
    --------
    >>> table = AlternatingEmbedding(1000, 8, 16)
    >>> table.parameter_count, table.assignments.shape, table.assignments.dtype
    (128, (1000, 4), dtype('uint8'))
    """

    Options = AlternatingOptions
    title = "alternating CCE"

    def __init__(
        self, cardinality: int, dim: int, params_per_dim: int, rng: Any = 0, options: Any = None
    ):
        super().__init__(cardinality, dim, params_per_dim, rng, options)
        random = generator(rng)
        self.n_chunks, self.width = chunk_width(dim, self.options.n_chunks)
        self.n_codewords = params_per_dim
        self.n_features = self.width * (self.width + 3) // 2
        terms = [
            Term.stored(c * self.width, self.width, c * params_per_dim, params_per_dim, c)
            for c in range(self.n_chunks)
        ]
        codebook = random_codebook(random, params_per_dim * self.n_chunks, self.width, dim)
        codebook *= np.float32(self.options.start_scale)
        start = random.integers(0, params_per_dim, (cardinality, self.n_chunks))
        self._setup(codebook, terms, random, start)
        self.priors: GaussianPriors | None = None
        if dim > 1 and self.options.prior != "popularity" and self.options.evaluation != "exact":
            self.priors = GaussianPriors.unfitted(self.n_chunks, self.width)
            self.kept = {f"prior/{name}": array for name, array in self.priors.arrays().items()}

    def codewords(self, chunk: int) -> np.ndarray:
        """Codewords of a chunk, (params_per_dim, width): a view."""
        return self.codebooks[chunk]

    @property
    def codebooks(self) -> np.ndarray:
        """Codewords of all chunks, (chunks, params_per_dim, width): a view."""
        return self.codebook.value.reshape(self.n_chunks, self.n_codewords, self.width)

    def after_epoch(self, context: EpochContext) -> None:
        """Seed codebooks anew, and let IDs move, if it is time."""
        seeds, moves = self._seeds(context), self._moves(context)
        if not seeds and not moves:
            return
        own = self.sorted_rows(context)
        if seeds:
            self.seed_anew(context, own)
        if moves:
            self.reassign(context, own)
        if moves and self.options.optimizer_state == "reset":
            for state in context.moments(self.codebook):
                state[...] = 0

    def for_falling_rate(self, context: EpochContext) -> bool:
        """Where IDs have few rows: their codewords come to fit noise."""
        return self._fitted_priors(context) is not None

    def sorted_rows(self, context: EpochContext) -> SortedRows:
        """The rows that are looked at, sorted by the field's IDs."""
        rows = self._rows(context)
        weight = len(context.train) / max(len(rows), 1)
        return SortedRows.of(
            rows, context.field, self.cardinality, weight, self.options.max_rows_per_id
        )

    def reassign(self, context: EpochContext, own: SortedRows) -> int:
        """Move each ID, chunk by chunk, to the codeword of least loss on its rows.

        Parameters
        ----------
        context : EpochContext
        own : SortedRows
            From `sorted_rows`.

        Returns
        -------
        int
            Assignments that have changed.
        """
        chunks = np.array(self._chunks(context, len(own.rows)))
        nat = self._nat(context, own.rows)
        with single_threaded_blas():
            if (priors := self._fitted_priors(context)) is not None:
                return self._move_to_posteriors(priors, context, own, chunks, nat)
            return row_losses(self, context, own).move(chunks, self._penalties(nat))

    def _move_to_posteriors(
        self,
        priors: GaussianPriors,
        context: EpochContext,
        own: SortedRows,
        chunks: np.ndarray,
        nat: float,
    ) -> int:
        """Fit the priors of some chunks, and move each ID to the codeword near its posterior."""
        uncertainties = self._uncertainties(context, chunks)
        sample = self._sample(context, own, PRIOR_SAMPLE)
        rows = np.diff(own.starts)[sample]
        losses = row_losses(self, context, own)
        unseen = context.frequencies() == 0
        for chunk in chunks:
            features, curvatures = losses.parabolas(chunk, sample)
            features += np.outer(curvatures, uncertainties[chunk])
            features /= np.float32(nat)
            priors.fit(chunk, features, rows, self._mean_square(chunk))
            self.assignments[unseen, chunk] = priors.most_likely(chunk, self.codewords(chunk))
        return losses.move_to_posteriors(chunks, priors.in_units(chunks, nat), uncertainties)

    def _uncertainties(self, context: EpochContext, chunks: np.ndarray) -> np.ndarray:
        """What the other field's posterior covariances add to losses, (chunks, features).

        Zeros in other chunks, and where nothing is known.
        """
        out = np.zeros((self.n_chunks, self.n_features), np.float32)
        if context.model.scores_are_inner_products:
            other = context.model.tables[1 - context.field]
            if isinstance(other, AlternatingEmbedding) and other.priors is not None:
                for chunk in chunks:
                    covariance = other.priors.posterior_covariances[chunk]
                    out[chunk] = self.options.uncertainty * as_parabola(covariance)
        return out

    def _fitted_priors(self, context: EpochContext) -> GaussianPriors | None:
        """The Gaussian priors, if IDs have them: they are fitted before IDs move."""
        wanted = self.options.prior == "gaussian" or not self._rows_suffice(context)
        return self.priors if wanted else None

    def _moves(self, context: EpochContext) -> bool:
        """Whether it is time for IDs to move."""
        options = self.options
        waited = context.epoch - options.first_epoch
        in_time = context.epoch <= options.reassign_until * context.epochs
        if waited < 0 or waited % options.reassign_every or not in_time:
            return False
        if self._fitted_priors(context) is None:
            return True
        before = self._turn(context.epoch) * self._at_once(context, len(context.train))
        return before < self.prior_turns * self.n_chunks

    @property
    def prior_turns(self) -> int:
        """Times that a chunk's IDs move with a Gaussian prior."""
        if self.options.prior_turns is not None:
            return self.options.prior_turns
        return 1 + round(np.log2(self.n_codewords))

    def _seeds(self, context: EpochContext) -> bool:
        """Whether it is time to seed codebooks anew, and there are rows enough."""
        options = self.options
        in_time = options.first_epoch <= context.epoch <= options.seed_until * context.epochs
        if not in_time or self.dim == 1 or not context.model.scores_are_inner_products:
            return False
        if self._fitted_priors(context) is not None:
            return False
        fields = range(len(context.model.cardinalities))
        return min(context.mean_frequency(f) for f in fields) >= options.seed_rows * self.dim

    def _rows_suffice(self, context: EpochContext) -> bool:
        """Whether the field's IDs have rows enough."""
        return context.mean_frequency(context.field) >= self.options.enough_rows * self.dim

    def seed_anew(self, context: EpochContext, own: SortedRows) -> None:
        """Seed some chunks' codebooks anew by the loss, and give every ID its best codeword.

        Parameters
        ----------
        context : EpochContext
        own : SortedRows
            From `sorted_rows`.

        Notes
        -----
        The prior on an ID's vector in a chunk is a Gaussian with the codewords' mean square.
        """
        turn = (context.epoch - self.options.first_epoch) * self.options.seeded_at_once
        with single_threaded_blas():
            for i in range(min(self.options.seeded_at_once, self.n_chunks)):
                losses = row_losses(self, context, own)
                self._seed_chunk(context, losses, (turn + i) % self.n_chunks)

    def _seed_chunk(self, context: EpochContext, losses: RowLosses, chunk: int) -> None:
        own = losses.own
        seen = own.seen
        wanted = max(LEAST_SAMPLE, SAMPLE_PER_CODEWORD * self.n_codewords)
        sample = self._sample(context, own, wanted)
        features, _ = losses.parabolas(chunk, sample)
        nat = self._nat(context, own.rows)
        codewords, penalties = seed_codewords(
            features, self.n_codewords, nat / self._mean_square(chunk),
            nat * self.options.popularity_prior, context.rng,
        )  # fmt: skip

        def assign(piece: tuple[int, int]) -> None:
            ids = seen[slice(*piece)]
            chosen[ids] = least_cost(losses.parabolas(chunk, ids)[0], codewords, penalties)

        # an ID without rows has its penalties alone
        chosen = np.full(self.cardinality, penalties.argmin(), self.assignments.dtype)
        if len(sample) < len(seen):
            for_each(assign, list(own.of_ids(seen).blocks(self.n_features)))
        else:  # all parabolas are at hand
            chosen[sample] = least_cost(features, codewords, penalties)
        self.assign(chunk, chosen)
        first = chunk * self.n_codewords
        self.codewords(chunk)[...] = codewords
        for state in context.moments(self.codebook):
            state[first : first + self.n_codewords] = 0

    @staticmethod
    def _sample(context: EpochContext, own: SortedRows, wanted: int) -> np.ndarray:
        """So many of the IDs that have rows, in order, or all."""
        seen = own.seen
        if wanted < len(seen):
            return np.sort(context.rng.choice(seen, wanted, replace=False))
        return seen

    def _mean_square(self, chunk: int) -> float:
        """Of the entries of a chunk's codewords, or more."""
        return max(float((self.codewords(chunk).astype(np.float64) ** 2).mean()), 1e-3)

    def _nat(self, context: EpochContext, rows: Any) -> float:
        """One nat of log-likelihood, in units of the loss."""
        model = context.model
        if model.loss == "logistic":
            return 1.0
        some = slice(None, None, max(1, len(rows) // ROWS_AT_ONCE))
        scores = model.scores(rows.ids[some], rows.dense[some])
        return 2 * float(((scores - rows.labels[some]).astype(np.float64) ** 2).mean())

    def _rows(self, context: EpochContext) -> Any:
        train, wanted = context.train, self.options.max_rows
        if wanted is None and isinstance(train.ids, np.memmap):
            wanted = MAPPED_ROWS
        if wanted is None or wanted >= len(train):
            return train
        places = (np.arange(wanted) + context.rng.random()) * (len(train) / wanted)
        return train.subset(places.astype(np.int64))

    def _turn(self, epoch: int) -> int:
        """Reassignments before this one."""
        return (epoch - self.options.first_epoch) // self.options.reassign_every

    def _at_once(self, context: EpochContext, rows: int) -> int:
        """How many chunks are reassigned after an epoch, of so many rows."""
        at_once = self.options.chunks_at_once
        if at_once is None:
            work = self.cardinality * self.n_codewords * self.n_features
            at_once = int(WORK_A_ROW * self.dim * rows / (2 * work))
            if not self._rows_suffice(context):
                at_once = min(at_once, -(-self.n_chunks // 2))
            if self._fitted_priors(context) is not None:
                reassignments = max(1, context.epochs // self.options.reassign_every)
                wanted = round(self.prior_turns * self.n_chunks / reassignments)
                at_once = min(at_once, wanted)
        return min(max(at_once, 1), self.n_chunks)

    def _chunks(self, context: EpochContext, rows: int) -> list[int]:
        """Whose turn it is."""
        at_once = self._at_once(context, rows)
        return [(self._turn(context.epoch) * at_once + c) % self.n_chunks for c in range(at_once)]

    def _penalties(self, nat: float) -> np.ndarray:
        """What each codeword adds to an ID's loss, (chunks, codewords)."""
        prior = nat * self.options.popularity_prior
        out = np.zeros((self.n_chunks, self.n_codewords))
        for chunk in range(self.n_chunks):
            lengths = (self.codewords(chunk).astype(np.float64) ** 2).sum(axis=1)
            out[chunk] = self.options.norm_penalty / 2 * lengths
            if prior:
                counts = np.bincount(self.assignments[:, chunk], minlength=self.n_codewords)
                shares = (counts + 1) / (counts.sum() + self.n_codewords)
                out[chunk] -= prior * np.log(shares)
        return out
