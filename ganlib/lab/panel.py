"""`Panel`: controls beside a picture; `Painter`: a board to paint on. Both are ipywidgets, and show
a static picture too, which stays in a saved notebook.
"""

import html

from ..show.pictures import Picture


class Panel:
    """Controls and one picture: `draw(**values)` returns a `Picture`, and is called again whenever
    a control changes.

    controls: one for each argument of `draw`: (start, low, high), whole numbers or floats, for a
        slider; a list of texts for a menu that starts at the first; True or False for a box to
        tick; a text for a box to type in, which draws at each letter.
    buttons: a dict from labels to functions without arguments. A `Picture` that one returns is
        shown, a text is written below it; a pair of them does both.
    width: how wide the picture is shown, in pixels; by default as wide as it is.

    As the value of a notebook cell it shows the first picture, which stays in the saved file, then
    the live controls, which need a running kernel that is idle. Errors of `draw` or of a button are
    written below the picture.
    """

    def __init__(self, draw, buttons=None, width=None, **controls):
        import ipywidgets as widgets

        self._draw, self._width = draw, width
        self.controls = {name: _control(name, wanted) for name, wanted in controls.items()}
        self.buttons = {label: widgets.Button(description=label) for label in buttons or {}}
        self.line = widgets.HTML()
        self.start = self.shown = draw(**self.values)
        self.picture = widgets.Image(
            value=self.start.data,
            format=self.start.mime.split("/")[1],
            width=width or self.start.width,
        )
        for control in self.controls.values():
            control.observe(lambda _: self._show(lambda: self._draw(**self.values)), "value")
        for label, button in self.buttons.items():
            button.on_click(lambda _, label=label: self._show(buttons[label]))
        rows = [widgets.HBox(list(self.buttons.values()))] if self.buttons else []
        side = [widgets.VBox(list(self.controls.values()))] if self.controls else []
        self.widget = widgets.VBox([*rows, widgets.HBox([*side, self.picture]), self.line])

    @property
    def values(self):
        """The present values of the controls, by name."""
        return {name: control.value for name, control in self.controls.items()}

    def _show(self, make):
        try:
            result = make()
        except Exception as error:  # nobody would see it in a callback
            result = f"{type(error).__name__}: {error}"
        picture, message = result if isinstance(result, tuple) else (result, "")
        if isinstance(picture, Picture):
            self.shown, self.picture.width = picture, str(self._width or picture.width)
            self.picture.format, self.picture.value = picture.mime.split("/")[1], picture.data
        else:
            message = picture or ""
        self.line.value = html.escape(message)

    def _ipython_display_(self):
        from IPython.display import display

        display(self.start)
        display(self.widget)


def _control(name, wanted):
    """Return the widget for one argument."""
    import ipywidgets as widgets

    name = name.replace("_", " ")
    if isinstance(wanted, bool):
        return widgets.Checkbox(wanted, description=name, indent=True)
    if isinstance(wanted, list):
        return widgets.Dropdown(options=wanted, description=name)
    if isinstance(wanted, str):
        return widgets.Text(wanted, description=name)
    start, low, high = wanted
    if all(isinstance(value, int) for value in wanted):
        return widgets.IntSlider(start, low, high, description=name)
    return widgets.FloatSlider(start, min=low, max=high, step=(high - low) / 60, description=name)


SHAPES = {
    "heart": (
        "                ",
        "                ",
        "  ####    ####  ",
        " ######  ###### ",
        " ######  ###### ",
        " ############## ",
        " ############## ",
        " ############## ",
        "  ############  ",
        "   ##########   ",
        "    ########    ",
        "     ######     ",
        "      ####      ",
        "       ##       ",
        "                ",
        "                ",
    )
}
OFF = ("0", "0.0", "False", " ", ".")  # how `mask` may spell a cell that is off


class Painter:
    """A board of `side` x `side` toggle buttons to paint on; its `mask` says which are on, for
    `plane.painted`.

    `mask` (rows of 0 and 1, a tensor of them, texts in which a space or a dot is off, or the name
    of a shape: "heart") is what is on at the start; without it nothing is, on `side` x `side`
    cells. As the value of a notebook cell it shows a static picture, then the live board. Raises
    ValueError for rows of different lengths, and for another name.
    """

    def __init__(self, mask=None, side=16):
        import ipywidgets as widgets

        if isinstance(mask, str):
            if mask not in SHAPES:
                raise ValueError(f"mask={mask!r} was given; rows or {list(SHAPES)} are expected")
            mask = SHAPES[mask]
        mask = mask.tolist() if hasattr(mask, "tolist") else mask
        rows = [
            [str(cell) not in OFF for cell in row]
            for row in ([[0] * side] * side if mask is None else mask)
        ]
        if len({len(row) for row in rows}) != 1:
            raise ValueError(
                f"rows of {sorted({len(row) for row in rows})} cells were given; all alike are "
                "expected"
            )
        layout = widgets.Layout(width="20px", height="20px", padding="0px", margin="0px")
        self.cells = [
            [
                widgets.ToggleButton(
                    value=on,
                    layout=layout,
                    button_style="warning" if on else "",
                    tooltip=f"row {i + 1}, column {j + 1}",
                )
                for j, on in enumerate(row)
            ]
            for i, row in enumerate(rows)
        ]
        for cell in (cell for row in self.cells for cell in row):
            cell.observe(self._colour, "value")
        clear = widgets.Button(description="clear")
        clear.on_click(lambda _: self.clear())
        board = widgets.GridBox(
            [cell for row in self.cells for cell in row],
            layout=widgets.Layout(
                grid_template_columns=f"repeat({len(rows[0])}, 20px)", grid_gap="0px"
            ),
        )
        self.widget = widgets.VBox([board, clear])

    @staticmethod
    def _colour(change):
        change["owner"].button_style = "warning" if change["new"] else ""

    @property
    def mask(self):
        """Rows of 0 and 1, from top to bottom: which cells are on."""
        return [[int(cell.value) for cell in row] for row in self.cells]

    def clear(self):
        """Turn all cells off."""
        for row in self.cells:
            for cell in row:
                cell.value = False

    def picture(self):
        """Return the board as a `Picture`."""
        from PIL import Image

        mask = self.mask
        picture = Image.new("RGB", (len(mask[0]), len(mask)))
        picture.putdata(
            [(224, 122, 32) if cell else (240, 240, 240) for row in mask for cell in row]
        )
        return Picture(
            picture.resize((10 * picture.width, 10 * picture.height), Image.Resampling.NEAREST),
            "<board>",
            alt=f"a board of {len(mask)} x {len(mask[0])} cells, {sum(map(sum, mask))} of them on",
        )

    def _ipython_display_(self):
        from IPython.display import display

        display(self.picture())
        display(self.widget)
