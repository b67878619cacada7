"""Controls with a picture, and a board to paint on: ipywidgets for an idle kernel, a static picture beside them."""

import html

from ..show.pictures import Picture


class Panel:
    """Controls and one picture: `draw(**values)` returns a `Picture`, and does so again whenever a control moves.

    controls: by the name of `draw`'s argument `(start, low, high)`, whole numbers or floats, for a slider; a list of
        texts for a menu, its first being the start; True or False for a box to tick.
    buttons: by their label functions of no argument; a `Picture` that one returns is shown, a text is said under it,
        and of a pair of them both.

    As a cell's value it is first the picture as it starts, which stays in the saved file, then the live controls. They
    need a running kernel that is idle. What goes wrong in `draw` or a button is said under the picture.
    """

    def __init__(self, draw, buttons=None, width=None, **controls):
        import ipywidgets as widgets

        self._draw, self._width = draw, width
        self.controls = {name: _control(name, wanted) for name, wanted in controls.items()}
        self.buttons = {label: widgets.Button(description=label) for label in buttons or {}}
        self.line = widgets.HTML()
        self.start = self.shown = draw(**self.values)
        self.picture = widgets.Image(value=self.start.data, format=self.start.mime.split("/")[1],
                                     width=width or self.start.width)  # fmt: skip
        for control in self.controls.values():
            control.observe(lambda _: self._show(lambda: self._draw(**self.values)), "value")
        for label, button in self.buttons.items():
            button.on_click(lambda _, label=label: self._show(buttons[label]))
        rows = [widgets.HBox(list(self.buttons.values()))] if self.buttons else []
        side = [widgets.VBox(list(self.controls.values()))] if self.controls else []
        self.widget = widgets.VBox([*rows, widgets.HBox([*side, self.picture]), self.line])

    @property
    def values(self):
        """What the controls say now, by name."""
        return {name: control.value for name, control in self.controls.items()}

    def _show(self, make):
        try:
            found = make()
        except Exception as error:  # in a callback nobody would see it
            found = f"{type(error).__name__}: {error}"
        picture, said = found if isinstance(found, tuple) else (found, "")
        if isinstance(picture, Picture):
            self.shown, self.picture.width = picture, str(self._width or picture.width)
            self.picture.format, self.picture.value = picture.mime.split("/")[1], picture.data
        else:
            said = picture or ""
        self.line.value = html.escape(said)

    def _ipython_display_(self):
        from IPython.display import display

        display(self.start)
        display(self.widget)


def _control(name, wanted):
    """The widget for one argument."""
    import ipywidgets as widgets

    name = name.replace("_", " ")
    if isinstance(wanted, bool):
        return widgets.Checkbox(wanted, description=name, indent=True)
    if isinstance(wanted, list):
        return widgets.Dropdown(options=wanted, description=name)
    start, low, high = wanted
    if all(isinstance(value, int) for value in wanted):
        return widgets.IntSlider(start, low, high, description=name)
    return widgets.FloatSlider(start, min=low, max=high, step=(high - low) / 60, description=name)


OFF = ("0", "0.0", "False", " ", ".")  # what a cell that is off may look like


class Painter:
    """A board of `side` x `side` toggle buttons to paint on; `mask` is what is on, for `plane.painted`.

    `mask` (rows of 0 and 1, a tensor of them, or texts in which a space or a dot is off) is on at the start. As a
    cell's value it is a static picture of that, then the board.
    """

    def __init__(self, mask=None, side=16):
        import ipywidgets as widgets

        mask = mask.tolist() if hasattr(mask, "tolist") else mask
        rows = [[str(cell) not in OFF for cell in row] for row in ([[0] * side] * side if mask is None else mask)]
        if len({len(row) for row in rows}) != 1:
            raise ValueError(f"rows of {sorted({len(row) for row in rows})} cells were given; all alike are expected")
        layout = widgets.Layout(width="20px", height="20px", padding="0px", margin="0px")
        self.cells = [[widgets.ToggleButton(value=on, layout=layout, button_style="warning" if on else "",
                                            tooltip=f"row {i + 1}, column {j + 1}") for j, on in enumerate(row)]
                      for i, row in enumerate(rows)]  # fmt: skip
        for cell in (cell for row in self.cells for cell in row):
            cell.observe(self._colour, "value")
        clear = widgets.Button(description="clear")
        clear.on_click(lambda _: self.clear())
        board = widgets.GridBox([cell for row in self.cells for cell in row], layout=widgets.Layout(
            grid_template_columns=f"repeat({len(rows[0])}, 20px)", grid_gap="0px"))  # fmt: skip
        self.widget = widgets.VBox([board, clear])

    @staticmethod
    def _colour(change):
        change["owner"].button_style = "warning" if change["new"] else ""

    @property
    def mask(self):
        """Rows of 0 and 1, from top to bottom."""
        return [[int(cell.value) for cell in row] for row in self.cells]

    def clear(self):
        """Turn all cells off."""
        for row in self.cells:
            for cell in row:
                cell.value = False

    def picture(self):
        """The board as a `Picture`."""
        from PIL import Image

        mask = self.mask
        picture = Image.new("RGB", (len(mask[0]), len(mask)))
        picture.putdata([(224, 122, 32) if cell else (240, 240, 240) for row in mask for cell in row])
        return Picture(picture.resize((10 * picture.width, 10 * picture.height), Image.Resampling.NEAREST), "<board>")

    def _ipython_display_(self):
        from IPython.display import display

        display(self.picture())
        display(self.widget)
