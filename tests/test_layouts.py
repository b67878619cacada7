"""What is a class and what is not: folders, tables beside the images, the items of data sets, and
what ganlib itself, systems and servers put beside the images.
"""

import csv
import gzip
import io
import json
import os
import time
from pathlib import Path

import images
import numpy
import pytest
import torch
from PIL import Image, ImageFile, UnidentifiedImageError
from test_own import as_tar, as_zip, write

import ganlib
from ganlib.__main__ import main
from ganlib.data import prepared
from ganlib.data.labels import from_values


def files(*names):
    """A file for each name; the i-th has the colour i everywhere."""
    return {name: images.packed(Image.new("L", (8, 8), i), "PNG") for i, name in enumerate(names)}


def load(tmp_path, made, **settings):
    """The set of these files, loaded from a folder."""
    write(tmp_path / "set", made)
    return ganlib.load(tmp_path / "set", **({"size": 8, "root": tmp_path / "data"} | settings))


def by_name(data):
    """The class of each file of a set, by its name; the i-th file has the colour i."""
    return {
        name: data.classes[label]
        for name, label in zip(data.report["names"], data.labels, strict=True)
    }


def advice(data):
    return " | ".join(ganlib.preflight(data, seconds=0).advice)


# folders


@pytest.mark.parametrize(
    "folders, order",
    [
        (["10", "9", "1"], ["1", "9", "10"]),
        (["class10", "class2", "a"], ["a", "class2", "class10"]),
        (["v1.10", "v1.9"], ["v1.9", "v1.10"]),
        (["b", "a", "C"], ["C", "a", "b"]),
        (["01", "00", "10"], ["00", "01", "10"]),
        (["1", "0", "-1", "-2"], ["-2", "-1", "0", "1"]),
    ],
)
def test_folders_with_numbers_are_in_the_order_of_the_numbers(tmp_path, folders, order):
    data = load(tmp_path, files(*(f"{folder}/x.png" for folder in folders)))
    assert list(data.classes) == order
    assert by_name(data) == {f"{folder}/x.png": folder for folder in folders}


def test_folders_whose_numbers_are_not_those_of_the_classes_are_named(tmp_path):
    data = load(tmp_path, files(*(f"{i}/x.png" for i in range(1, 12))))
    assert data.classes == tuple(map(str, range(1, 12)))
    assert "class 0 is '1': the folders' names are not the numbers" in advice(data)
    plain = load(tmp_path / "other", files(*(f"{i:02}/x.png" for i in range(12))))
    assert plain.report["odd"] == []


SPLITS = [
    (("train", "test"), "train", "test"),
    (("Training", "Validation"), "Training", "val"),
    (("train", "valid", "test"), "train", "validation"),
    (("test_set", "training_set"), "training_set", "test"),
    (("train2017", "val2017"), "train2017", "val2017"),
    (("dev", "train"), "train", "dev"),
    (("seg_train", "seg_test"), "seg_train", "test"),
]


@pytest.mark.parametrize("shape", ["{split}/{kind}", "{kind}/{split}", "data/{split}/{kind}"])
@pytest.mark.parametrize("splits, usual, other", SPLITS)
def test_splits_are_no_classes_and_train_is_read(tmp_path, splits, usual, other, shape):
    names = [
        f"{shape.format(split=split, kind=kind)}/{i}.png"
        for split in splits
        for kind in ("cats", "dogs")
        for i in range(2)
    ]
    data = load(tmp_path, files(*names))
    assert data.classes == ("cats", "dogs") and len(data) == 4
    assert all(usual in name for name in data.report["names"])
    assert all(kind in name for name, kind in by_name(data).items())
    assert "are splits, no classes" in advice(data) and "4 of" in data.report["odd"][0]
    rest = ganlib.load(tmp_path / "set", size=8, root=tmp_path / "data", split=other)
    assert len(rest) == 4 and not set(rest.report["names"]) & set(data.report["names"])
    whole = ganlib.load(tmp_path / "set", size=8, root=tmp_path / "data", split="all")
    assert len(whole) == len(names) and whole.classes == ("cats", "dogs")
    assert rest.loaded["split"] == other and "split" not in data.loaded


def test_splits_without_classes_have_no_labels_and_images_beside_them_are_left_out(
    tmp_path, capsys
):
    data = load(tmp_path, files("train/1.png", "train/2.png", "test/3.png", "preview.png"))
    assert data.labels is None and data.report["names"] == ["train/1.png", "train/2.png"]
    assert "train was read, 2 of 4 files; split='test' reads another" in capsys.readouterr().out
    again = ganlib.load(tmp_path / "set", size=8, root=tmp_path / "data")
    assert len(again) == 2 and "split='test' reads another" in capsys.readouterr().out


def test_two_domains_of_a_cycle_are_classes_within_the_split(tmp_path):
    data = load(tmp_path, files("trainA/1.png", "trainB/2.png", "testA/3.png", "testB/4.png"))
    assert by_name(data) == {"trainA/1.png": "A", "trainB/2.png": "B"}
    test = ganlib.load(tmp_path / "set", size=8, root=tmp_path, split="test")
    assert by_name(test) == {"testA/3.png": "A", "testB/4.png": "B"}


def test_a_split_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    made = files("train/a/1.png", "train/b/2.png", "val/a/3.png")
    with pytest.raises(ValueError, match="folders train, val are splits, and split='test'"):
        load(tmp_path, made, split="test")
    with pytest.raises(
        ValueError, match="val, test are splits, and split='train' is none|test, val"
    ):
        load(tmp_path / "b", files("val/1.png", "test/2.png"))
    with pytest.raises(ValueError, match="split='test' was given, and no folders are splits"):
        load(tmp_path / "c", files("cats/1.png", "dogs/2.png"), split="test")
    only = write(tmp_path / "d" / "test", files("cats/1.png", "dogs/2.png"))
    assert ganlib.load(only, size=8, root=tmp_path, split="test").classes == ("cats", "dogs")
    with pytest.raises(ValueError, match="split='test' was given with a list"):
        ganlib.load([Image.new("L", (8, 8))], size=8, root=tmp_path, split="test")


@pytest.mark.parametrize("folders", [("train", "bus"), ("dev", "plane"), ("Test Kitchen", "train")])
def test_classes_that_sound_like_a_split_stay_classes(tmp_path, folders):
    data = load(tmp_path, files(*(f"{folder}/1.png" for folder in folders)))
    assert set(data.classes) == set(folders)


def test_masks_beside_images_are_not_read(tmp_path):
    for where, made in (
        ("a", files("images/1.png", "images/2.png", "masks/1.png", "masks/2.png")),
        ("b", files("JPEGImages/1.png", "JPEGImages/2.png", "SegmentationClass/1.png")),
        ("c", files("images1024x1024/1.png", "images1024x1024/2.png", "thumbnails128x128/1.png")),
    ):
        data = load(tmp_path / where, made)
        assert len(data) == 2 and data.labels is None
        assert "only " in advice(data) and "was read: no classes" in advice(data)
    yolo = files("images/train/1.png", "images/val/2.png") | {"labels/train/1.txt": b"0 .5 .5"}
    data = load(tmp_path / "d", yolo)
    assert data.report["names"] == ["images/train/1.png"] and data.labels is None


SHARDS = {
    "stylegan": [f"{i // 4:05}/img{i:08}.png" for i in range(12)],
    "ffhq": [f"{i // 4 * 1000:05}/{i // 4 * 1000 + i % 4:05}.png" for i in range(12)],
    "img2dataset": [f"{i // 4:05}/{i // 4:05}{i % 4:04}.png" for i in range(12)],
    "danbooru": [f"{i % 3:04}/{1000 * (i + 1) + i % 3}.png" for i in range(12)],
    "hashes": [f"{i:x}{i:x}/{i:x}{i:x}{7 * i + 10**15:018x}.png" for i in range(8, 13)],
}


@pytest.mark.parametrize("kind", SHARDS)
def test_shards_are_no_classes(tmp_path, kind):
    data = load(tmp_path, files(*SHARDS[kind]))
    assert data.labels is None and data.classes == () and len(data) == len(SHARDS[kind])
    assert "are parts of one numbered set, no classes" in advice(data)


@pytest.mark.parametrize(
    "names",
    [
        [f"{k:05}/{i:05}_00000.ppm" for k in range(3) for i in range(4)],  # traffic signs
        [f"{k}/{4 * k + i}.png" for k in range(3) for i in range(4)],  # digits, numbered on
        [f"n0144{k}/n0144{k}_{i}.JPEG" for k in range(3) for i in range(4)],
        [f"{k:03}.bird/img_{4 * k + i}.png" for k in range(3) for i in range(4)],
        [f"{year}/IMG_{i}.png" for i, year in enumerate((2019, 2020, 2021))],
    ],
)
def test_classes_that_look_like_shards_stay_classes(tmp_path, names):
    data = load(tmp_path, files(*names))
    assert by_name(data) == {name: name.split("/")[0] for name in names}


def test_a_single_folder_makes_no_labels_and_the_report_says_so(tmp_path, capsys):
    data = load(tmp_path, files("cats/1.png", "cats/2.png"))
    ganlib.preflight(data, seconds=0)
    assert data.labels is None
    assert "labels: none: all images lie in one folder, cats" in capsys.readouterr().out


def test_folders_of_which_nothing_can_be_read_are_named(tmp_path):
    made = files("cats/1.png", "dogs/2.png") | {"birds/1.mp4": b"x", "notes/read.txt": b"me"}
    data = load(tmp_path, made)
    assert data.classes == ("cats", "dogs")
    assert "no image can be read of the folders birds" in advice(data)
    assert "notes" not in advice(data)


SYSTEM = [
    *("__MACOSX/cats/._1.png", ".ipynb_checkpoints/1-checkpoint.png", "@eaDir/1.png/thumb.png"),
    *(".Trashes/1.png", "$RECYCLE.BIN/S-1-5/1.png", ".git/1.png", "cats/Thumbs.db", "cats/._2.png"),
    *("cats/desktop.ini", "System Volume Information/1.png", "#recycle/1.png", "@Recycle/x.png"),
    "lost+found/1.png",
]


@pytest.mark.parametrize("way", ["folder", "zip", "tar", "backslashes"])
def test_what_systems_and_servers_add_is_no_data(tmp_path, way):
    made = files("cats/1.png", "dogs/2.png", *SYSTEM)
    if way == "folder":
        path = write(tmp_path / "set", made)
    elif way == "tar":
        path = as_tar(tmp_path / "set.tar", made)
    else:
        slash = {"zip": "/", "backslashes": "\\"}[way]
        path = as_zip(tmp_path / "set.zip", {k.replace("/", slash): v for k, v in made.items()})
    data = ganlib.load(path, size=8, root=tmp_path)
    assert data.classes == ("cats", "dogs") and len(data) == 2 and data.report["found"] == 2


def test_names_with_backslashes_are_paths(tmp_path):
    """A zip of old Windows tools; and files that `unzip` made of one, in a single folder."""
    names = ["set\\train\\cats\\1.png", "set\\train\\dogs\\2.png", "set\\test\\cats\\3.png"]
    archive = as_zip(tmp_path / "set.zip", files(*names) | {"set\\train\\": b""})
    for path in (archive, write(tmp_path / "set", files(*names))):
        data = ganlib.load(path, size=8, root=tmp_path)
        assert by_name(data) == {names[0]: "cats", names[1]: "dogs"}
        assert not data.report["skipped"]


# tables


def stylegan(labels):
    return json.dumps({"labels": labels}).encode()


@pytest.mark.parametrize("way", ["folder", "zip", "tar", "within"])
def test_the_labels_of_stylegans_dataset_json(tmp_path, way):
    names = [f"{i // 4:05}/img{i:08}.png" for i in range(12)]
    made = files(*names) | {
        "dataset.json": stylegan([[name, i % 3] for i, name in enumerate(names)])
    }
    if way in ("folder", "within"):
        inner = "deep/er/" if way == "within" else ""
        path = write(tmp_path / "set", {inner + name: content for name, content in made.items()})
    else:
        path = {"zip": as_zip, "tar": as_tar}[way](tmp_path / f"set.{way}", made)
    data = ganlib.load(path, size=8, root=tmp_path)
    assert data.labels.tolist() == [i % 3 for i in range(12)] and data.classes == ("0", "1", "2")
    assert data.report["labels"] == "from dataset.json" and data.report["found"] == 12
    assert data.report["skipped"] == []


@pytest.mark.parametrize(
    "content, labels, said",
    [
        (stylegan(None), None, "none: dataset.json says that there are none"),
        (stylegan([["a/1.png", 1]]), None, "1 of 2 images have none"),
        (stylegan([["a/1.png", [0, 1]], ["b/2.png", [1, 0]]]), [1, 0], "from dataset.json"),
        (stylegan([["a/1.png", [0.3, 1]], ["b/2.png", [1, 0]]]), None, "vectors of several"),
        (stylegan({"a/1.png": 1, "b/2.png": 0}), [1, 0], "from dataset.json"),
        (stylegan([["a\\1.png", 1], ["b\\2.png", 0]]), [1, 0], "from dataset.json"),
        (stylegan([["a/1.png", 5], ["b/2.png", 7]]), [0, 1], "from dataset.json"),
        (b'{"labels": [[1', [0, 1], "from the folders"),
        (b'{"images": []}', [0, 1], "from the folders"),
    ],
)
def test_a_dataset_json_of_every_kind(tmp_path, content, labels, said):
    data = load(tmp_path, files("a/1.png", "b/2.png") | {"dataset.json": content})
    assert data.labels is None if labels is None else data.labels.tolist() == labels
    assert said in data.report["labels"]
    if content.endswith(b"[[1"):
        assert "dataset.json cannot be used for labels" in advice(data)


def table(rows, delimiter=","):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue().encode()


METADATA = {
    "metadata.csv": table([["file_name", "label"], ["1.png", "dog"], ["2.png", "cat"]]),
    "metadata.tsv": table([["file_name", "label"], ["1.png", "dog"], ["2.png", "cat"]], "\t"),
    "metadata.jsonl": b'{"file_name": "1.png", "label": "dog"}\n\n{"file_name": "2.png", '
    b'"label": "cat"}\n',
    "metadata.CSV": b"File_Name; Label\r\n1.png; dog\r\n2.png; cat\r\n",
    "labels.csv": b"\xef\xbb\xbfid,class\r\n1,dog\r\n2,cat\r\n",
}


@pytest.mark.parametrize("name", METADATA)
@pytest.mark.parametrize("inside", ["", "images/"])
def test_tables_beside_the_images_name_their_classes(tmp_path, name, inside):
    data = load(tmp_path, files(f"{inside}1.png", f"{inside}2.png") | {name: METADATA[name]})
    assert data.classes == ("cat", "dog") and data.labels.tolist() == [1, 0]
    assert data.report["labels"] == f"from {name}" and not data.report["skipped"]


def test_a_table_goes_with_the_folder_that_it_lies_in(tmp_path):
    made = files("train/1.png", "train/2.png", "test/1.png") | {
        "train/metadata.csv": table([["file_name", "label"], ["1.png", 1], ["2.png", 0]]),
        "test/metadata.csv": table([["file_name", "label"], ["1.png", 0]]),
    }
    data = load(tmp_path, made)
    assert data.labels.tolist() == [1, 0] and data.classes == ("0", "1")


def test_a_table_without_labels_is_named(tmp_path):
    captions = table([["file_name", "text"], ["1.png", "a cat"], ["2.png", "a dog"]])
    data = load(tmp_path, files("1.png", "2.png") | {"metadata.csv": captions})
    assert data.labels is None and "it has the columns file_name, text" in advice(data)


def test_webdatasets_tars_have_a_class_beside_each_image(tmp_path):
    made = {}
    for i, (name, content) in enumerate(files(*(f"{i:06}.png" for i in range(6))).items()):
        made |= {name: content, f"{i:06}.cls": str(i % 2).encode()}
    data = ganlib.load(as_tar(tmp_path / "0000.tar", made), size=8, root=tmp_path)
    assert data.labels.tolist() == [0, 1] * 3 and data.report["labels"] == "from the .cls files"
    assert data.report["found"] == 6


# the labels of data sets


class Rows:
    """A data set of torchvision's kind with these labels."""

    def __init__(self, labels, classes=()):
        self.labels, self.classes = labels, classes

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return Image.new("L", (8, 8), i), self.labels[i]


T = torch.tensor
TAKEN = {
    "ints": ([0, 1, 1], (), [0, 1, 1], ("0", "1")),
    "numpy": ([numpy.int64(0), numpy.uint8(1), numpy.float32(1)], (), [0, 1, 1], ("0", "1")),
    "torch": ([T(0), T([1]), T(1.0)], (), [0, 1, 1], ("0", "1")),
    "texts": (["dog", "cat", "dog"], (), [1, 0, 1], ("cat", "dog")),
    "numpy texts": ([numpy.str_("b"), b"a", "b "], (), [1, 0, 1], ("a", "b")),
    "texts with names": (["dog", "cat"], ("dog", "cat"), [0, 1], ("dog", "cat")),
    "other texts than the names": (["b", "z"], ("a", "b"), [0, 1], ("b", "z")),
    "numbers as text": (["10", "9", "0"], (), [2, 1, 0], ("0", "9", "10")),
    "codes": (["007", "010"], (), [0, 1], ("007", "010")),
    "floats": ([0.0, 1.0, 0.0], (), [0, 1, 0], ("0", "1")),
    "bools": ([True, False], (), [1, 0], ("False", "True")),
    "numpy bools": ([numpy.bool_(True), numpy.bool_(False)], (), [1, 0], ("False", "True")),
    "bools with names": ([True, False], ("no", "yes"), [1, 0], ("no", "yes")),
    "one-hot": ([[0, 1, 0], [1, 0, 0]], (), [1, 0], ("0", "1", "2")),
    "one-hot tensors": ([T([0.0, 1.0]), T([1.0, 0.0])], ("a", "b"), [1, 0], ("a", "b")),
    "a subset": ([4, 0], tuple("abcde"), [4, 0], tuple("abcde")),
    "one-based": ([1, 2, 3], (), [0, 1, 2], ("1", "2", "3")),
    "one-based with names": ([1, 2, 3], tuple("abc"), [0, 1, 2], tuple("abc")),
    "gaps": ([0, 5, 7], (), [0, 1, 2], ("0", "5", "7")),
    "minus and plus": ([-1, 1, -1], (), [0, 1, 0], ("-1", "1")),
    "beyond the names": ([0, 1, 2], ("a", "b"), [0, 1, 2], ("0", "1", "2")),
    "huge": ([2**70, 5], (), [1, 0], ("5", str(2**70))),
}
SAID = {
    "one-based": "labels from 1 to 3 became 3 classes: class 0 is '1'",
    "one-based with names": "labels 1 to 3 go with 3 class names: 1 was taken as 'a'",
    "gaps": "class 1 is '5'",
    "minus and plus": "class 0 is '-1'",
    "beyond the names": "labels from 0 to 2 do not go with 2 class names (a, b)",
    "other texts than the names": "the labels, as 'b', are not the class names a, b",
    "huge": "became 2 classes",
    "numbers as text": "class 1 is '9'",
}


@pytest.mark.parametrize("case", TAKEN)
def test_labels_in_every_form_are_classes(tmp_path, case):
    raw, names, labels, classes = TAKEN[case]
    data = ganlib.load(Rows(raw, names), size=8, root=tmp_path)
    assert data.labels.tolist() == labels and data.classes == classes
    assert data.labels.dtype == torch.int64
    odd = " ".join(data.report["odd"])
    assert SAID[case] in odd if case in SAID else odd == ""


NOT_TAKEN = {
    "None": ([0, None, 1], "1 of 3 images have none"),
    "nan": ([0.0, float("nan")], "1 of 2 images have none"),
    "empty text": (["a", ""], "1 of 2 images have none"),
    "all None": ([None, None], "every label is missing"),
    "one -1": ([0, 1, -1], "1 of 3 are -1, which marks an image without a label"),
    "all -1": ([-1, -1], "2 of 2 are -1"),
    "below": ([0, -5], "1 of 2 are below 0"),
    "part": ([1.7, 1.0], "1.7 is no whole number"),
    "part as text": (["1.7", "1"], "1.7 is no whole number"),
    "infinite": ([float("inf"), 1.0], "inf is no whole number"),
    "mixed": ([0, "cat"], "1 are texts ('cat') and the others numbers"),
    "attributes": ([T([1, 1, 0]), T([0, 1, 0])], "vectors of several numbers"),
    "a vector and a number": ([1, T([1, 0])], "vectors of several numbers"),
    "lengths": ([[0, 1], [1, 0, 0]], "vectors of several numbers"),
    "boxes": ([{"box": [1, 2]}] * 2, "a dict is no class"),
    "places": ([numpy.zeros(12_345)] * 2, "a ndarray of (12345,) is no class"),
    "masks": (
        [numpy.zeros((200, 200))] * 2,
        "each item holds 2 images: the first of them is taken",
    ),
    "captions": ([f"a cat, {i}" for i in range(30)], "30 of 30 are different"),
    "numbers of images": (list(range(30)), "30 of 30 are different"),
}


@pytest.mark.parametrize("case", NOT_TAKEN)
def test_where_labels_are_no_classes_a_sentence_says_why(tmp_path, case, capsys):
    raw, why = NOT_TAKEN[case]
    data = ganlib.load(Rows(raw), size=8, root=tmp_path)
    assert data.labels is None and data.classes == () and len(data) == len(raw)
    assert why in capsys.readouterr().out, "at the load itself"
    assert why in advice(data) and why in capsys.readouterr().out


def test_thirty_labels_of_a_hundred_images_are_classes():
    labels, classes, _, odd = from_values([i % 30 for i in range(100)])
    assert labels == [i % 30 for i in range(100)] and len(classes) == 30 and not odd


def test_only_the_labels_of_images_that_are_read_count(tmp_path):
    class Odd(Rows):
        def __getitem__(self, i):
            return (numpy.zeros((9, 9, 9)) if i == 1 else super().__getitem__(i)[0]), self.labels[i]

    data = ganlib.load(Odd([0, None, 1]), size=8, root=tmp_path)
    assert data.labels.tolist() == [0, 1]


# data sets of other kinds


class Feature:
    def __init__(self, kind, names=None):
        self.names, self.__class__ = names, type(kind, (Feature,), {})


class Columns(Rows):
    """What `datasets.Dataset` looks like, with images that were not decoded."""

    features = {"photo": Feature("Image"), "coarse": Feature("ClassLabel", ["x", "y"])}
    _fingerprint = "columns"

    def __init__(self, folder, labels, raises=None):
        super().__init__(labels)
        self.folder, self.raises = folder, raises

    def __getitem__(self, i):
        if self.raises and i == 1:
            raise self.raises
        bytes_, path = (
            images.packed(Image.new("L", (8, 8), i), "PNG"),
            str(self.folder / f"{i}.png"),
        )
        item = {"bytes": bytes_ if i % 2 else None, "path": path}
        return {"photo": item, "coarse": self.labels[i], "fine": 0}


def test_images_that_hugging_face_has_not_decoded(tmp_path):
    write(tmp_path, files("0.png", "1.png", "2.png"))
    data = ganlib.load(Columns(tmp_path, [1, 0, 1]), size=8, root=tmp_path / "data")
    assert data.images[:, 0, 0, 0].tolist() == [0, 1, 2] and data.classes == ("x", "y")
    assert data.report["names"][0].endswith("0.png") and data.labels.tolist() == [1, 0, 1]


def test_two_columns_of_classes_are_said(tmp_path):
    write(tmp_path, files("0.png", "1.png"))
    data = Columns(tmp_path, [1, 0])
    data.features = data.features | {"fine": Feature("ClassLabel", ["z"])}
    loaded = ganlib.load(data, size=8, root=tmp_path)
    assert loaded.classes == ("x", "y")
    assert "2 columns may be the labels, coarse, fine: coarse is taken" in advice(loaded)


def test_a_dict_of_splits(tmp_path):
    sets = {"train": Rows([0, 1]), "test": Rows([0, 1, 1])}
    data = ganlib.load(sets, size=8, root=tmp_path)
    assert len(data) == 2 and "'train' of train, test is taken" in data.report["odd"][0]
    assert len(ganlib.load(sets, size=8, root=tmp_path, split="test")) == 3
    with pytest.raises(ValueError, match="a dict of train, test was given, and split='val'"):
        ganlib.load(sets, size=8, root=tmp_path, split="val")


def test_lists_of_paths_of_pictures_and_generators(tmp_path):
    write(tmp_path, files("0.png", "1.png", "2.png"))
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    opened = [Image.open(path) for path in paths]
    for given in (
        paths,
        list(map(str, paths)),
        tuple(paths),
        opened,
        (path for path in paths),
        map(Image.open, paths),
        [path.read_bytes() for path in paths],
        [numpy.full((8, 8), i, numpy.uint8) for i in range(3)],
        torch.arange(3, dtype=torch.uint8)[:, None, None, None].expand(3, 3, 8, 8),
        [{"image": path} for path in paths],
        iter([(path, 0) for path in paths]),
    ):
        data = ganlib.load(given, size=8, root=tmp_path / "data")
        assert data.images[:, 0, 0, 0].tolist() == [0, 1, 2], given
    data = ganlib.load([*paths, tmp_path / "gone.png"], size=8, root=tmp_path / "data")
    assert len(data) == 3 and data.report["names"] == list(map(str, paths))
    ((name, why),) = data.report["skipped"]
    assert name.endswith("gone.png") and "No such file" in why
    pairs = ganlib.load(
        [(str(p), k) for p, k in zip(paths, "aba", strict=True)], size=8, root=tmp_path
    )
    assert pairs.classes == ("a", "b") and pairs.labels.tolist() == [0, 1, 0]
    swapped = ganlib.load(
        [(k, p) for p, k in zip(opened, "aba", strict=True)], size=8, root=tmp_path
    )
    assert swapped.labels.tolist() == [0, 1, 0]


def test_a_stream_goes_on_after_a_broken_item_and_ends_if_all_are(tmp_path):
    write(tmp_path, files("0.png", "1.png") | {"2.png": b"no", "3.png": b""})
    paths = [tmp_path / f"{i}.png" for i in (2, 0, 3, 1)]
    data = ganlib.load(map(Image.open, paths), size=8, root=tmp_path / "data")
    assert data.images[:, 0, 0, 0].tolist() == [0, 1] and data.report["found"] == 4

    class Endless:
        def __iter__(self):
            return self

        def __next__(self):
            raise OSError("no server")

    with pytest.raises(OSError, match="none of the 100 items of Endless can be read .no server"):
        ganlib.load(Endless(), size=8, root=tmp_path)


@pytest.mark.parametrize(
    "given, message",
    [
        ({}, "a dict of"),
        ([], "the data set list is empty"),
        (iter([]), "is empty"),
        (torch.utils.data.DataLoader(Rows([0])), "DataLoader was given, which gives batches"),
        ([{"text": "a"}], "has the columns text; one of images is expected"),
    ],
)
def test_what_is_no_data_set_is_refused_in_a_sentence(tmp_path, given, message):
    with pytest.raises(ValueError, match=message):
        ganlib.load(given, size=8, root=tmp_path)


def test_an_address_is_no_path(tmp_path):
    with pytest.raises(OSError, match="an address; download it first"):
        ganlib.load(["https://example.org/a.png"], size=8, root=tmp_path)


# files that are no images

ODD = {
    "empty.png": (b"", "the file is empty"),
    "page.jpg": (b"\n<!DOCTYPE html><html><body>403</body></html>", "a web page"),
    "lfs.jpg": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d", "git lfs pull"),
    "a.mp4": (b"\0\0\0\x20ftypisom\0\0\2\0", "a video; save its frames"),
    "a.mov": (b"\0\0\0\x14ftypqt  ", "a video"),
    "a.avi": (b"RIFF\0\0\0\0AVI LIST", "a video"),
    "a.mkv": (b"\x1a\x45\xdf\xa3\x01\0", "a video"),
    "a.mpg": (b"\0\0\x01\xba" + bytes(50), "a video"),
    "a.heic": (b"\0\0\0\x18ftypheic\0\0\0\0", "pip install pillow-heif"),
    "a.heif": (b"\0\0\0\x18ftypmif1\0\0\0\0", "pip install pillow-heif"),
    "a.jxl": (b"\xff\x0a\xfa\x1f", "pip install pillow-jxl-plugin"),
    "b.jxl": (b"\0\0\0\x0cJXL \r\n\x87\n", "pip install pillow-jxl-plugin"),
    "a.svg": (b'<?xml version="1.0"?>\n<svg xmlns="x"/>', "cairosvg"),
    "b.svg": (b"<svg width='3'/>", "cairosvg"),
    "a.pdf": (b"%PDF-1.7", "a PDF"),
    "a.zip": (b"PK\x03\x04rest", "an archive; give its own path"),
    "a.gz": (gzip.compress(b"x"), "an archive"),
    "a.npy": (b"\x93NUMPY\1\0", "numpy.load"),
    "a.parquet": (b"PAR1xx", "load_dataset"),
    "a.dcm": (bytes(128) + b"DICM", "pydicom"),
}


def test_files_that_are_no_images_say_what_they_are(tmp_path):
    data = load(tmp_path, {name: content for name, (content, _) in ODD.items()} | files("x.png"))
    said = dict(data.report["skipped"])
    assert len(data) == 1 and set(said) == set(ODD)
    for name, (_, why) in ODD.items():
        assert why in said[name] and said[name].startswith("no image"), (name, said[name])
    with pytest.raises(OSError, match="of 1 files .*a.mp4: no image that Pillow knows: a video"):
        ganlib.load(write(tmp_path / "v", {"a.mp4": ODD["a.mp4"][0]}), size=8, root=tmp_path)


# what ganlib wrote


def test_a_run_inside_the_data_is_no_data(tmp_path, monkeypatch, capsys):
    """Twice the same command, first to a folder below the images and then to theirs itself."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ganlib.keep.export.onnx_file", lambda G: (None, "none"))
    monkeypatch.setattr("ganlib.run.preflight.rate", lambda *_: 100.0)
    draws = numpy.random.default_rng(0)
    made = {
        f"{i:02}.png": images.packed(
            Image.fromarray(draws.integers(0, 256, (30, 30, 3), numpy.uint8)), "PNG"
        )
        for i in range(20)
    }
    write(tmp_path, made)
    command = ["train", "--data", ".", "--size", "28", "--recipe", "small", "--batch-size", "4"]
    for out in ("runs/x", "runs/y", "."):
        for steps in "23":
            assert main([*command, "--steps", steps, "--out", out]) == 0, capsys.readouterr()
        assert (tmp_path / out / "data.png").exists() and (tmp_path / out / "latest.png").exists()
    ganlib.export("runs/x", "shared", "mine")
    assert main(["sample", "runs/x", "--n", "4", "--out", "grid.png"]) == 0
    data = ganlib.load(".", size=28)
    assert data.report["names"] == sorted(made) and data.labels is None
    said = dict(data.report["skipped"])
    assert "a prepared set of ganlib, no data" in said.values()
    assert said["runs/x"] == said["runs/y"] == said["."] == "a run of ganlib, no data"
    assert said["shared"] == "an exported generator of ganlib, no data"
    assert "ganlib drew it" in said["grid.png"]


def test_a_run_that_was_killed_before_its_first_save_is_no_data_either(tmp_path, capsys):
    data = load(tmp_path, files(*(f"{i}.png" for i in range(8))))
    ganlib.preflight(data, seconds=0).sheet.save(tmp_path / "set" / "runs" / "x" / "data.png")
    again = ganlib.load(tmp_path / "set", size=8, root=tmp_path / "data")
    assert again.report["names"] == data.report["names"] and not again.report["mixed"]


def test_the_users_files_in_a_folder_with_a_run_stay_data(tmp_path, small, digits):
    """Also files of the names that a run writes, in a folder where none was."""
    made = files("a/checkpoint.png", "a/pictures/0000100.png", "b/latest.png", "b/config.json.png")
    write(tmp_path / "set", made | {"b/checkpoint.pt": b"another library's"})
    ganlib.save(tmp_path / "set" / "a", small())
    data = ganlib.load(tmp_path / "set", size=8, root=tmp_path)
    assert data.report["names"] == sorted(made) and data.classes == ("a", "b")
    assert ["a", "a run of ganlib, no data"] in data.report["skipped"]


# what is kept between starts


def test_another_setting_or_plugin_of_pillow_decodes_anew(tmp_path, monkeypatch, capsys):
    draws = numpy.random.default_rng(0)
    picture = Image.fromarray(draws.integers(0, 256, (64, 64, 3), numpy.uint8))
    whole = images.packed(picture, "JPEG", quality=95)
    write(tmp_path / "set", {"a.jpg": whole, "b.jpg": whole[:-200], "c.new": b"NEW: " + bytes(9)})

    def load():
        return len(ganlib.load(tmp_path / "set", size=16, root=tmp_path / "data"))

    assert load() == 1
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert load() == 2
    Image.init()
    monkeypatch.setattr(Image, "ID", [*Image.ID, "NEW"])
    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    Image.OPEN["NEW"] = (
        lambda file, name: Image.new("RGB", (9, 9), "red"),
        lambda head: head.startswith(b"NEW: "),
    )
    assert load() == 3
    capsys.readouterr()
    assert load() == 3 and "prepared before" in capsys.readouterr().out
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", False)
    assert load() == 2


def test_a_plugin_that_is_installed_is_used(tmp_path, monkeypatch):
    """A stand-in for pillow_heif, which is found by its name and asked to register itself."""
    (tmp_path / "pillow_heif.py").write_text(
        "__version__ = '9'\ncalls = []\ndef register_heif_opener(): calls.append(1)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    load(tmp_path / "x", files("1.png"))
    import pillow_heif

    assert pillow_heif.calls == [1]
    monkeypatch.delitem(__import__("sys").modules, "pillow_heif")


@pytest.mark.parametrize(
    "error, kept",
    [
        (TimeoutError("the server did not answer"), False),
        (ConnectionResetError(104, "reset"), False),
        (OSError(5, "Input/output error"), False),
        (PermissionError(13, "Permission denied"), False),
        (MemoryError(), False),
        (RuntimeError("the server says 503"), False),
        (OSError("image file is truncated"), True),
        (UnidentifiedImageError("cannot identify image file"), True),
        (ValueError("bad palette"), True),
    ],
)
def test_what_may_be_read_another_time_is_no_lasting_skip(tmp_path, error, kept):
    write(tmp_path, files("0.png", "1.png", "2.png"))
    broken = ganlib.load(Columns(tmp_path, [0, 1, 0], error), size=8, root=tmp_path / "data")
    assert len(broken) == 2 and len(broken.report["skipped"]) == 1
    again = ganlib.load(Columns(tmp_path, [0, 1, 0]), size=8, root=tmp_path / "data")
    assert len(again) == (2 if kept else 3)
    assert bool(list((tmp_path / "data" / "prepared").iterdir()))


def test_a_lazy_picture_whose_file_times_out_is_no_lasting_skip(tmp_path, monkeypatch):
    """The item is there, and reading its pixels fails."""
    write(tmp_path, files("0.png", "1.png", "2.png"))

    class Slow(Image.Image):
        def copy(self):
            raise TimeoutError("the drive is asleep")

    class Lazy(Columns):
        def __getitem__(self, i):
            return super().__getitem__(i) | ({"photo": Slow()} if i == 1 else {})

    first = ganlib.load(Lazy(tmp_path, [0, 1, 0]), size=8, root=tmp_path / "data")
    assert len(first) == 2 and "the drive is asleep" in first.report["skipped"][0][1]
    assert len(ganlib.load(Columns(tmp_path, [0, 1, 0]), size=8, root=tmp_path / "data")) == 3


def test_a_folder_that_was_renamed_or_copied_has_its_new_name(tmp_path, capsys):
    write(tmp_path / "first", files("a.png"))
    assert ganlib.load(tmp_path / "first", size=8, root=tmp_path).name == "first"
    os.rename(tmp_path / "first", tmp_path / "second")
    capsys.readouterr()
    assert ganlib.load(tmp_path / "second", size=8, root=tmp_path).name == "second"
    said = capsys.readouterr().out
    assert said.startswith("second: 1 images") and "prepared before" in said


def test_what_cannot_be_deleted_now_is_swept_away_later(tmp_path, monkeypatch):
    """On Windows a mapped file cannot be deleted; nor is the load refused then."""
    real, kept = Path.unlink, []

    def unlink(self, missing_ok=False):
        if self.name == "images.u8":
            kept.append(self)
            raise PermissionError(13, "used by another process", str(self))
        real(self, missing_ok)

    monkeypatch.setattr(prepared, "IN_MEMORY", 0)
    with monkeypatch.context() as change:
        change.setattr(Path, "unlink", unlink)
        data = ganlib.load([Image.new("L", (8, 8), 7)], size=8, root=tmp_path)
    assert data.images.unique().tolist() == [7] and kept[0].exists()
    ganlib.load([Image.new("L", (8, 8), 8)], size=8, root=tmp_path)
    assert kept[0].exists(), "of today: it may be in use"
    os.utime(kept[0].parent, (time.time() - 90_000,) * 2)
    ganlib.load([Image.new("L", (8, 8), 8)], size=8, root=tmp_path)
    assert not list((tmp_path / "prepared").iterdir())


def test_two_sets_without_a_fingerprint_at_the_same_time(tmp_path):
    """The second is loaded while the first is being decoded."""

    class Outer(Rows):
        def __getitem__(self, i):
            if i == 1:
                inner = [Image.new("L", (8, 8), 99)] * 2
                assert ganlib.load(inner, size=8, root=tmp_path).images.unique().tolist() == [99]
            return super().__getitem__(i)

    data = ganlib.load(Outer([0, 1, 0]), size=8, root=tmp_path)
    assert data.images[:, 0, 0, 0].tolist() == [0, 1, 2]
