"""`compile_step`: record a whole training step as one CUDA graph, or return the step unchanged and
print why.
"""

from ...game.steps import as_game
from ...machine.progress import say
from . import graph


def compile_step(step, gan, data, batch_size=100):
    """Return `step` as a game that plays each step as one CUDA graph, or `step` itself where that
    does not work; one printed line says which and why.

    It is made for a fixed `batch_size`; a batch of another shape, another GAN or a newly loaded
    state is captured anew. Before it is used, the captured step is compared with the eager one over
    4 steps from the present state, which is restored afterwards. `step` must depend only on its
    arguments and on (seed, step), as `gan_step` does: whatever else Python computes in it would
    stay as it was at the capture.

    On a CPU, on MPS and with several processes the step is returned unchanged. (torch.compile is
    not used: it was slower than eager for these nets and took 9 to 31 s to start, see
    benchmarks/LOG.md.)
    """
    reason = "several processes share the gradients" if gan.world > 1 else graph.unfit(gan.device)
    if reason is None:
        data, game = data.near(gan.device), as_game(step)
        compiled = graph.Compiled(game)
        try:
            game.check(gan, data)  # notes what the game needs of the data, as `train` does
            batches = data.batches(gan.seed, gan.step, game.batches, batch_size, gan.dtype)
            batches = batches.to(gan.device)
            if not (waits := compiled.turning(gan, batches)):
                compiled.capture(gan, batches)
        except Exception as error:  # of any kind, raised by the step; the state is restored
            reason = graph.why(error)
        else:
            if waits:
                say("step: one CUDA graph, captured as soon as the game has changed")
            return compiled
    say(f"step: eager, as it is; {reason}")
    return step
