"""`Stepper`: play a training step by hand, one piece at a time, and see what each piece changes."""

import torch

from ..game import losses
from ..game.contract import evaluating
from ..game.game import Game
from ..game.moves import d_move, g_move
from ..nets.known import ask, logits_of
from .board import board_of, layers_of
from .panel import Panel


class Stepper:
    """A GAN's training step, played by hand on a board that shows noise, fakes, D's verdicts and
    the losses.

    `noise()` draws fresh noise (and fresh reals), `fake()` lets G draw from it, `judge()` shows
    reals and fakes to D, `losses()` computes both losses, `d_move()` and `g_move()` take one
    optimizer step on just these images, `both(n)` plays `n` whole steps. Each returns a `Picture`
    of the board: in grey as it was before, in colour as it is now. After a move all is drawn and
    judged again, so that its effect shows. `said` is the line at the top. D judges without dropout
    here; its moves use dropout.

    gan: the GAN to train; give a copy (`copy.deepcopy(gan)`) to keep it as it is.
    data: the data set of the reals; its labels are used if G takes classes.
    objective, penalty: as in `gan_step`.
    n: the number of images of a move.

    Raises ValueError if `gan` and `data` do not fit.
    """

    def __init__(self, gan, data, objective=losses.non_saturating, penalty=None, n=100):
        self.gan, self.data, self.objective, self.penalty, self.n = (
            gan,
            data.near(gan.device),
            objective,
            penalty,
            n,
        )
        self.game = Game(objective, penalty=penalty)
        if gan.latent_dim is None or len(data.shape) not in (1, 3):
            raise ValueError(
                "the board shows noise, and images or points; G is fed "
                f"{gan.source.name or 'noise'}, and the data are {data.shape} each: play this game "
                "in a loop of its own"
            )
        self.game.check(gan, self.data)
        self.turn, self.said = -1, "the board is set: deal noise"
        self.d_moves = 0  # since the last whole step; each has other dropout masks
        self.moved = dict.fromkeys("DG", (None, None))  # last move: gradient norms, weight changes
        self.earlier = self.moved
        self._deal()
        self._draw()
        self._judge()
        self._weigh()
        self.before = self._board()

    # the pieces of a step

    def noise(self):
        """Draw fresh noise and fresh reals; the fakes on the board are still the old ones."""
        return self._play("noise: fresh numbers for G", self._deal)

    def fake(self):
        """Let G draw fakes from the noise on the board."""
        return self._play("fake: G draws from the noise", self._draw)

    def judge(self):
        """Let D judge the reals and the fakes on the board."""
        return self._play("judge: D sees both kinds", self._judge)

    def losses(self):
        """Compute both losses from the verdicts on the board."""
        return self._play("losses: what each player wants to be small", self._weigh)

    def d_move(self):
        """Take one optimizer step of D on the reals and fakes on the board."""

        def move():
            self.d_moves += 1
            return d_move(self.gan, self.game, self.real, self.labels, self.d_moves - 1, self.fakes)

        return self._play("D move", lambda: self._move("D", move), "d_loss")

    def g_move(self):
        """Take one optimizer step of G on the noise on the board."""

        def move():
            fakes = self.gan.fake(self.n, "G", self.labels, noise=self.z)
            return g_move([(self.gan, self.game, self.real, self.labels, fakes)])[0]

        return self._play("G move", lambda: self._move("G", move), "g_loss")

    def both(self, n=10):
        """Play `n` whole steps, each on fresh noise and reals; those on the board stay, for
        comparison. Raises ValueError for less than 1 step.
        """
        if n < 1:
            raise ValueError(f"n={n} was given; at least 1 step is expected")

        def play():
            for _ in range(n):
                stats = self.game.step(self.gan, self._dealt(self.gan.step, self.game.batches))
            self.d_moves = 0
            return stats

        return self._play(f"both x{n}", lambda: self._move("DG", play), "d_loss", "g_loss")

    def panel(self):
        """Return a `Panel`: the board with seven buttons."""
        actions = {
            "noise": self.noise,
            "fake": self.fake,
            "judge": self.judge,
            "losses": self.losses,
            "D move": self.d_move,
            "G move": self.g_move,
            "both x10": self.both,
        }
        return Panel(self.picture, actions)

    def _ipython_display_(self):
        self.panel()._ipython_display_()

    # how they are done

    def _deal(self):
        self.turn += 1
        batches = self._dealt(self.turn)
        self.real, self.labels = batches.images[0], batches.labels[0] if self.gan.classes else None
        self.z = self.gan.noise(self.n, "stepper", self.turn)

    def _dealt(self, step, k=1):
        return self.data.batches(self.gan.seed, step, k, self.n, self.gan.dtype).to(self.gan.device)

    @torch.no_grad()
    def _draw(self):
        with evaluating(self.gan.G):
            self.fakes = ask(self.gan.G, self.z, self.labels)

    @torch.no_grad()
    def _judge(self):
        with evaluating(self.gan.D):
            self.d_real, self.d_fake = (
                logits_of(self.gan.D, x, self.labels).float().cpu() for x in (self.real, self.fakes)
            )

    @torch.no_grad()
    def _weigh(self):
        """Compute each term of both losses, and the two halves of D's loss if it has such."""
        real, fake = self.d_real, self.d_fake
        terms = {"D's loss": self.objective.d_loss(real, fake)}
        if self.objective.halves:
            of_reals, of_fakes = self.objective.halves
            terms |= {"  of reals": of_reals(real), "  of fakes": of_fakes(fake)}
        if self.penalty is not None and self.penalty.term is not None:
            terms["D's penalty"] = self._penalty()
        terms["G's loss"] = self.objective.g_loss(real if self.objective.paired else None, fake)
        self.terms = {name: value.mean().item() for name, value in terms.items()}

    def _penalty(self):
        both = torch.cat([self.real, self.fakes]).requires_grad_(True)
        labels = None if self.labels is None else torch.cat([self.labels, self.labels])
        with torch.enable_grad(), evaluating(self.gan.D):
            logits = logits_of(self.gan.D, both, labels)

            def judge(x):
                return logits_of(self.gan.D, x, labels if len(x) == len(both) else self.labels)

            values = self.penalty.term(judge, both, logits, self.gan.draws("stepper/penalty"))
        return self.gan.at(self.penalty.weight) * values.detach().cpu()

    def _move(self, players, play):
        """Play a move; note each layer's gradient norm and relative weight change; judge again."""
        nets = {player: getattr(self.gan, player) for player in players}
        old = {
            player: [weight.detach().clone() for _, weight in layers_of(net)]
            for player, net in nets.items()
        }
        stats = play()
        if players == "G":  # whole steps are counted by `Game.step`
            self.gan.step += 1
            self.d_moves = 0
        for player, net in nets.items():
            weights = [weight for _, weight in layers_of(net)]
            norms = [
                0.0 if weight.grad is None else weight.grad.norm().item() for weight in weights
            ]
            change = [
                ((new - was).norm() / was.norm().clamp_min(1e-12)).item()
                for new, was in zip(weights, old[player], strict=True)
            ]
            self.moved[player] = norms, change
        self._draw()
        self._judge()
        self._weigh()
        return stats

    def _play(self, what, act, *shown):
        """Do one action and return the board; `shown` names the move's figures for the top line."""
        self.before = self._board()
        self.earlier = dict(self.moved)
        stats = act()
        figures = [f"{name} was {float(stats[name]):.3f}" for name in shown]
        now, then = self._board(), self.before
        changes = [
            f"{name.strip()} {then['terms'][name]:.3f} to {now['terms'][name]:.3f}"
            for name in now["terms"]
            if now["terms"][name] != then["terms"][name] and not name.startswith(" ")
        ]
        self.said = "; ".join([what, *figures, *changes])
        return self.picture()

    def _board(self):
        return {
            "noise": self.z,
            "fakes": self.fakes,
            "reals": self.d_real,
            "d_fake": self.d_fake,
            "terms": dict(self.terms),
        }

    def picture(self):
        """Return the present board as a `Picture`."""
        return board_of(self, self._board())
