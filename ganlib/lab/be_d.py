"""`BeD`: judge real and fake pictures as the discriminator does, and compare the scores."""

import torch

from ..data.images import as_uint8
from ..game.contract import evaluating
from ..nets.known import logits_of
from ..show.pictures import SIZE, Picture, pillow

REAL, FAKE, BLANK = (42, 157, 58), (214, 39, 40), (140, 140, 140)


class BeD:
    """Pictures of which half are fakes: mark those that you take for fakes, and compare with D.

    gan: its G draws the fakes, and its D plays against you.
    data: the `Images` from which the reals are taken.
    n: how many pictures, an even number.
    seed: which pictures; another seed deals others.

    You are told that half are fake, and so is D: it calls those fake to which it gives the lowest
    logits. (Its logits need not have their zero between real and fake: in a relativistic game only
    their order counts.) `fakes` says which pictures are fakes, `of_D` which D calls so, `score`
    counts. As the value of a notebook cell it shows the pictures, which stay in the saved file,
    then a button for each picture. Raises ValueError for an odd `n`, or more than the data have.
    """

    def __init__(self, gan, data, n=16, seed=0):
        if n < 2 or n % 2 or n > 2 * len(data):
            raise ValueError(
                f"n={n} was given; an even number is expected, at most 2 x {len(data):,}, the "
                "number of real images"
            )
        self.gan, self.data, self.n = gan, data, n
        self.deal(seed)

    def deal(self, seed):
        """Deal the pictures of another `seed`; nothing is marked then."""
        draws = torch.Generator().manual_seed(seed)
        half, device = self.n // 2, self.gan.device
        chosen = torch.randperm(len(self.data), generator=draws)[:half]
        real = self.data.floats(chosen.to(self.data.images.device)).to(device)
        labels = None
        if self.gan.classes:
            labels = torch.randint(self.gan.classes, (half,), generator=draws).to(device)
        fake = self.gan.sample(half, labels, stream=f"be D/{seed}").to(real.dtype)
        order = torch.randperm(self.n, generator=draws)
        self.seed = seed
        self.images = torch.cat([real, fake])[order.to(device)]
        self.fakes = (order >= half).tolist()
        both_labels = None
        if labels is not None:
            of_real = self.data.labels[chosen.to(self.data.labels.device)].to(device)
            both_labels = torch.cat([of_real, labels])[order.to(device)]
        with torch.no_grad(), evaluating(self.gan.D):
            logits = logits_of(self.gan.D, self.images.to(self.gan.dtype), both_labels)
        lowest = set(logits.flatten().argsort()[:half].tolist())
        self.of_D = [i in lowest for i in range(self.n)]
        self.marked = [False] * self.n

    def score(self, marked=None):
        """Return how many pictures are judged correctly: by `marked`, True for each that is called
        a fake (default: the buttons), and by D.
        """
        marked = self.marked if marked is None else marked
        if len(marked) != self.n:
            raise ValueError(
                f"{len(marked)} marks were given; one for each of {self.n} pictures is expected"
            )
        right = [
            sum(bool(a) == b for a, b in zip(answers, self.fakes, strict=True))
            for answers in (marked, self.of_D)
        ]
        return tuple(right)

    def picture(self, answer=False):
        """Return the numbered pictures as a `Picture`; with `answer` in a frame, green for a real
        one and red for a fake, with the answer and D's verdict above each.
        """
        from PIL import Image, ImageDraw, ImageFont

        font = ImageFont.load_default(SIZE)
        side = self.images.shape[2:]
        scale = max(1, round(76 / side[1]))
        wide, high = scale * side[1] + 16, scale * side[0] + 30
        columns = min(self.n, 8)
        rows = -(-self.n // columns)
        board = Image.new("RGB", (columns * wide, rows * high), "white")
        pen = ImageDraw.Draw(board)
        for i, image in enumerate(as_uint8(self.images)):
            x, y = i % columns * wide, i // columns * high
            frame = (FAKE if self.fakes[i] else REAL) if answer else BLANK
            inner = (x + 4, y + 22, x + wide - 5, y + high - 1)
            pen.rectangle(inner, outline=frame, width=4 if answer else 1)
            board.paste(pillow(image, scale).convert("RGB"), (x + 8, y + 26))
            names = ("fake" if fake else "real" for fake in (self.fakes[i], self.of_D[i]))
            said = " {}, D: {}".format(*names) if answer else ""
            pen.text((x + 6, y + 4), f"{i + 1}{said}", "black", font)
        text = "<answers>" if answer else "<which are fake?>"
        alt = f"{self.n} numbered pictures, half of them real and half fakes"
        alt += ", with the answers and D's verdicts" if answer else ""
        return Picture(board, text, generated=True, alt=alt)

    def panel(self):
        """Return the live board: the pictures, a button to mark each as a fake, one that compares
        your answers with D's, and one that deals others.
        """
        import ipywidgets as widgets

        picture = widgets.Image(value=self.picture().data, format="png")
        line = widgets.HTML("Mark the fakes; half of the pictures are.")
        layout = widgets.Layout(width="auto")
        marks = [
            widgets.ToggleButton(description=str(i + 1), tooltip=f"picture {i + 1}", layout=layout)
            for i in range(self.n)
        ]

        def mark(_):
            self.marked = [button.value for button in marks]

        def compare(_):
            yours, of_D = self.score()
            picture.value = self.picture(answer=True).data
            line.value = f"right: you {yours} of {self.n}, D {of_D} of {self.n}"

        def others(_):
            self.deal(self.seed + 1)
            for button in marks:
                button.value = False
            picture.value = self.picture().data
            line.value = "Mark the fakes; half of the pictures are."

        for button in marks:
            button.observe(mark, "value")
        grid = widgets.GridBox(
            marks, layout=widgets.Layout(grid_template_columns=f"repeat({min(self.n, 8)}, 80px)")
        )
        ask, deal = (widgets.Button(description=text) for text in ("compare with D", "others"))
        ask.on_click(compare)
        deal.on_click(others)
        return widgets.VBox([picture, grid, widgets.HBox([ask, deal]), line])

    def _ipython_display_(self):
        from IPython.display import display

        display(self.picture())
        display(self.panel())
