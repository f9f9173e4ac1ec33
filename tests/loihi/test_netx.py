"""netx files: what is read, what is refused, and what is written back."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from snnstack.backends.loihi.builder import ChipBuilder, replay
from snnstack.backends.loihi.lava_job import matrix
from snnstack.backends.loihi.network import ChipNetwork, Cuba
from snnstack.backends.loihi.netx import read_netx
from snnstack.backends.loihi.netx_input import netx_input
from snnstack.backends.loihi.netx_write import write_netx
from snnstack.errors import DataError, ModelError
from snnstack.ir.nodes import Array
from snnstack.trace import Spikes
from tests.conftest import DATA
from tests.loihi.chipnets import described

Layer = dict[str, Any]
CUBA = {"type": "CUBA", "iDecay": 4096, "vDecay": 415, "vThMant": 6, "refDelay": 1}


def neuron(**changes: Any) -> Layer:
    return {f"neuron/{key}": value for key, value in {**CUBA, **changes}.items()}


def dense(weight: Any, **more: Any) -> Layer:
    array = np.asarray(weight, dtype=np.float32)
    return {"type": "dense", "shape": [len(array)], "weight": array, **neuron(), **more}


def conv(weight: Array, shape: list[int], **more: Any) -> Layer:
    layer = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1, **neuron()}
    return {"type": "conv", "shape": shape, "weight": weight, **layer, **more}


def file(path: Path, *layers: Layer) -> Path:
    """A netx file as lava-dl would write it."""
    with h5py.File(path / "a.net", "w") as h:
        for index, layer in enumerate(layers):
            for key, value in layer.items():
                if key == "type":
                    value = np.array([value], dtype="S10")
                h.create_dataset(f"layer/{index}/{key}", data=value)
    return path / "a.net"


def content(path: Path) -> dict[str, tuple[Any, ...]]:
    """Every data set: its type, its shape and its values."""
    found: dict[str, tuple[Any, ...]] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = (item.dtype, item.shape, np.asarray(item[()]).tolist())

    with h5py.File(path) as h:
        h.visititems(visit)
    return found


def even(rng: np.random.Generator, *shape: int) -> Array:
    return 2 * rng.integers(-60, 61, shape)


@pytest.mark.data
@pytest.mark.parametrize("name", ["mnist", "oxford"])
def test_a_file_that_is_written_again_holds_the_same_data_sets(name: str, tmp_path: Path) -> None:
    source = DATA / "netx" / f"{name}.net"
    write_netx(read_netx(source), tmp_path / "copy.net")
    assert content(tmp_path / "copy.net") == content(source)


@pytest.mark.recordings
def test_the_first_layer_of_oxford_fires_as_recorded() -> None:
    net = read_netx(DATA / "netx" / "oxford.net")
    assert [p.shape for p in net.populations] == [(256,), (200,)]
    with np.load(DATA / "recordings" / "lava_dl_dense.npz") as recorded:
        spikes = Spikes.from_dense(recorded["input"].T[None].astype(np.uint8))
        fired = replay(net, spikes).spikes
        assert (recorded["spikes"] != fired["layer0"].dense()[0].T).sum() == 0
    assert fired["layer1"].total > 100


def gray_to_spikes(images: Array, steps: int) -> Array:
    """Each pixel / 255 drives an integrate-and-fire neuron of threshold 1, soft reset."""
    level = np.zeros(images.shape, dtype=np.int64)
    out = np.zeros((len(images), steps, images.shape[1]), dtype=np.uint8)
    for t in range(steps):
        level += images
        out[:, t] = level >= 255
        level -= 255 * out[:, t].astype(np.int64)
    return out


@pytest.mark.data
@pytest.mark.slow
def test_the_mnist_network_recognises_95_percent_of_1000_test_images() -> None:
    net = read_netx(DATA / "netx" / "mnist.net")
    with gzip.open(DATA / "mnist" / "t10k-images-idx3-ubyte.gz") as images:
        pixels = np.frombuffer(images.read(), np.uint8, 784_000, 16).reshape(1000, 784)
    with gzip.open(DATA / "mnist" / "t10k-labels-idx1-ubyte.gz") as labels:
        wanted = np.frombuffer(labels.read(), np.uint8, 1000, 8)
    drained = np.pad(gray_to_spikes(pixels, 32), ((0, 0), (0, 3), (0, 0)))
    counts = replay(net, Spikes.from_dense(drained)).spikes["layer2"].per_neuron()
    assert (counts.argmax(axis=1) == wanted).mean() >= 0.95


def chain() -> ChipNetwork:
    rng = np.random.default_rng(0)
    delays = np.repeat(rng.integers(0, 5, 36)[None], 6, axis=0)
    decays = rng.integers(0, 4096, 6)
    channels = np.arange(4).reshape(4, 1, 1)
    return (
        ChipBuilder()
        .input("input", (2, 7, 7))
        .population("c", (4, 3, 3), du=4095, dv=300, vth_mant=25, bias_mant=channels, bias_exp=6)
        .population("d", 6, du=100, dv=decays, vth_mant=20, refractory=4)
        .population("e", 2, du=100, dv=100, vth_mant=20)
        .conv("input", "c", even(rng, 4, 1, 3, 3), stride=2, groups=2, delay=[3, 1])
        .connect("c", "d", even(rng, 6, 36), delay=delays)
        .connect("d", "d", even(rng, 6, 6), exponent=1)
        .connect("d", "e", even(rng, 2, 6), bits=5, signs="mixed")
        .build()
    )


def test_a_network_that_is_written_and_read_is_the_same(tmp_path: Path) -> None:
    net = chain()
    write_netx(net, tmp_path / "a.net")
    assert described(read_netx(tmp_path / "a.net")) == described(net)


def test_what_changed_since_reading_is_what_is_written(tmp_path: Path) -> None:
    path = file(tmp_path, dense([[2, -4]], bias=[3.7]), dense([[6]]))
    net = read_netx(path)
    first = net.populations[0]
    assert isinstance(first, Cuba)
    assert first.bias.tolist() == [3 << 6]
    changed = (replace(first, threshold=np.array([9 << 6])), *net.populations[1:])
    write_netx(net.with_(populations=changed), tmp_path / "b.net")
    before, after = content(path), content(tmp_path / "b.net")
    different = {key for key in before if before[key] != after.get(key)}
    assert before.keys() == after.keys()
    assert different == {"layer/0/neuron/vThMant"}


def test_a_convolution_is_not_flipped_and_runs_over_c_h_w(tmp_path: Path) -> None:
    kernel = np.zeros((1, 2, 1, 2))
    kernel[0, 1, 0, 1] = 2
    layer = conv(kernel, [1, 2, 2], **neuron(vThMant=0))
    net = read_netx(file(tmp_path, {"type": "input", "shape": [2, 2, 3]}, layer))
    seen = np.zeros((1, 3, 2, 2, 3), dtype=np.uint8)
    seen[0, 0, 1, 0, 2] = 1
    trace = replay(net, Spikes.from_dense(seen), [("layer1", "i")])
    assert (trace.states["layer1", "i"][0, 1] >> 6).tolist() == [0, 2, 0, 0]


def test_a_pool_sums_each_channel_on_its_own(tmp_path: Path) -> None:
    layer = conv(np.full((1, 1, 2, 2), 8), [2, 2, 1], type="pool", stride=[2, 2])
    net = read_netx(file(tmp_path, layer), input_shape=(2, 3, 2))
    ones = np.zeros((1, 2, 2, 3, 2), dtype=np.uint8)
    ones[0, 0] = 1
    trace = replay(net, Spikes.from_dense(ones), [("layer0", "i")])
    assert (trace.states["layer0", "i"][0, 1] >> 6).tolist() == [32, 16, 32, 16]


@pytest.mark.parametrize("key", ["weight_rec", "recWeight"])
def test_a_recurrent_layer_has_a_connection_to_itself(key: str, tmp_path: Path) -> None:
    layer = {**dense([[2, 4], [6, 8]]), "type": "dense_rec", key: [[0, -2], [4, 0]]}
    path = file(tmp_path, layer)
    net = read_netx(path)
    assert [str((c.source, c.target)) for c in net.connections] == [
        "('input', 'layer0')",
        "('layer0', 'layer0')",
    ]
    write_netx(net, tmp_path / "b.net")
    assert content(tmp_path / "b.net") == content(path)


def test_delays_are_those_of_what_a_layer_sends(tmp_path: Path) -> None:
    net = read_netx(file(tmp_path, dense([[2], [4]], delay=[0.0, 3.9]), dense([[6, 8]])))
    found = [(c.source, c.delay, c.synapses.weight.tolist()) for c in net.connections]
    assert found == [("input", 0, [[2], [4]]), ("layer0", 0, [6]), ("layer0", 3, [8])]


@pytest.mark.parametrize("kind", ["dense", "dense_rec"])
def test_delays_of_the_shape_of_the_weights_are_those_of_single_synapses(
    kind: str, tmp_path: Path
) -> None:
    late, weight = [[0.0, 3.9], [2.0, 0.0]], [[2, 4], [6, 8]]
    first = {**dense(weight, delay=late), "type": kind}
    if kind == "dense_rec":
        first["weight_rec"] = [[2, -2], [4, 0]]
    path = file(tmp_path, first, dense([[2, 4]]))
    net = read_netx(path)
    found = {
        (c.source, c.delay, t, s): w
        for c in net.connections
        if c.target == "layer0"
        for t, row in enumerate(matrix(c.synapses, 2, 2, None).toarray())
        for s, w in enumerate(row)
        if w
    }
    forward = {(0, 0): 2, (0, 1): 4, (1, 0): 6, (1, 1): 8}
    back = {(0, 0): 2, (0, 1): -2, (1, 0): 4} if kind == "dense_rec" else {}
    expected = {
        (name, int(late[t][s]), t, s): w
        for name, some in (("input", forward), ("layer0", back))
        for (t, s), w in some.items()
    }
    assert found == expected
    assert [c.delay for c in net.connections if c.target == "layer1"] == [0]
    write_netx(net, tmp_path / "b.net")
    assert content(tmp_path / "b.net") == content(path)


def test_synaptic_delays_of_a_built_network_survive_writing(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    net = (
        ChipBuilder()
        .input("input", 5)
        .population("layer1", 4, du=100, dv=100, vth_mant=20)
        .connect("input", "layer1", even(rng, 4, 5) | 2, delay=rng.integers(0, 63, (4, 5)))
        .build()
    )
    write_netx(net, tmp_path / "a.net")
    assert described(read_netx(tmp_path / "a.net")) == described(net)


def test_an_input_layer_of_cuba_neurons_takes_bias_mantissas(tmp_path: Path) -> None:
    layer = {"type": "input", "shape": [1, 1, 2], "weight": [36.0], "bias": [34.0]}
    layer |= neuron(vDecay=1024, vThMant=25)
    path = file(tmp_path, layer, dense([[2, -4]]))
    net = read_netx(path)
    drive = np.tile(np.array([20, -5]), (1, 8, 1))
    ours = replay(net, drive, [("layer0", "v")]).states["layer0", "v"]
    biased = (
        ChipBuilder()
        .input("x", 2)
        .population("n", 2, du=4095, dv=1024, vth_mant=25, bias_mant=[20, -5], bias_exp=6)
        .build()
    )
    silent = Spikes.from_dense(np.zeros((1, 7, 2), dtype=np.uint8))
    same = replay(biased, silent, [("n", "v")]).states["n", "v"]
    assert (ours[:, 1:] == same).all()
    write_netx(net, tmp_path / "b.net")
    assert content(tmp_path / "b.net") == content(path)


def test_pictures_become_the_bias_mantissas_of_an_input_layer(tmp_path: Path) -> None:
    layer = {"type": "input", "shape": [1, 1, 3], "weight": [36.0], "bias": [34.0]} | neuron()
    net = read_netx(file(tmp_path, layer, dense([[2, -4, 6]])))
    pictures = np.broadcast_to([0.0, 0.52, 1.0], (2, 5, 1, 1, 3))
    assert netx_input(net, pictures)[1, 4].tolist() == [-2, 35, 70]
    plain = read_netx(file(tmp_path, dense([[2, -4]])))
    with pytest.raises(DataError) as told:
        netx_input(plain, np.zeros((1, 1, 2)))
    assert str(told.value) == (
        "input: the network has no input layer with neurons (give it spikes)"
    )
    with pytest.raises(DataError) as told:
        netx_input(net, np.zeros((1, 3)))
    assert str(told.value) == "input: values have shape [1, 3], not [batch, step, 3]"


def test_sigma_delta_layers_encode_the_change_of_the_input(tmp_path: Path) -> None:
    sdnn = {"neuron/type": "SDNN", "neuron/activation": "relu", "neuron/vThMant": 0}
    first = {"type": "input", "shape": [1, 1, 2], **sdnn}
    second = {"type": "dense", "shape": [1], "weight": [[64, -32]], "bias": [1.0], **sdnn}
    path = file(tmp_path, first, second)
    net = read_netx(path)
    level = np.array([[[3, 2], [3, 2], [2, 6], [2, 6], [2, 6]]])
    change = netx_input(net, level)
    assert change[0].tolist() == [[3, 2], [0, 0], [-1, 4], [0, 0], [0, 0]]
    sent = replay(net, change, [("layer0", "s"), ("layer1", "s")]).states
    assert sent["layer0", "s"][0].tolist() == [[0, 0], [192, 128], [0, 0], [-64, 256], [0, 0]]
    assert sent["layer1", "s"][0, :, 0].tolist() == [64, 0, 128, 0, -192]
    write_netx(net, tmp_path / "b.net")
    assert content(tmp_path / "b.net") == content(path)


def test_layers_can_be_left_out_at_both_ends(tmp_path: Path) -> None:
    path = file(tmp_path, dense([[2], [4]]), dense([[6, 8]]), dense([[2]]))
    net = read_netx(path, skip_layers=1, num_layers=2)
    assert net.input.shape == (2,)
    assert [p.name for p in net.populations] == ["layer1"]


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([{**dense([[2]]), "type": "concat"}], "layers of type 'concat' are not supported"),
        ([{**dense([[2]]), "type": "convT"}], "layers of type 'convT' are not supported"),
        (
            [{**dense([[2]]), "type": "magic"}],
            "layers of type 'magic' are not supported "
            "(known: input, dense, dense_rec, conv, pool, flatten, average)",
        ),
        (
            [dense([[2]], **neuron(type="RF"))],
            "neurons of type 'RF' are not supported (CUBA and SDNN)",
        ),
        (
            [dense([[2]], **neuron(vThMant=200_000))],
            "vth_mant is 200000, outside 0..131071 (17 bits, unsigned)",
        ),
        ([dense([[2.5]])], "weight is 2.5, not a whole number"),
        ([dense([[np.nan]])], "weight is nan, not a whole number"),
        (
            [dense([[301, -2]])],
            "weights -2..301 do not fit 8 bits and an exponent (mixed -256..254, others up to 255)",
        ),
        ([dense([[2]], delay=[63.0]), dense([[2]])], "delay is 63, outside 0..62 (steps)"),
        (
            [dense([[2]], **neuron(gradedSpike=True))],
            "CUBA neurons with graded spikes are not supported "
            "(Lava runs them as plain spikes: set gradedSpike to 0 if that is meant)",
        ),
        (
            [dense([[2], [2]]), dense([[2, 2, 2]])],
            "weight has shape [1, 3], but 2 sources lead here",
        ),
        (
            [conv(np.ones((1, 1, 3, 3)), [1, 3, 3])],
            "the shape before it is None, not [C, H, W] (give input_shape=(C, H, W))",
        ),
        (
            [{"type": "input", "shape": [1, 5, 5]}, conv(np.ones((1, 1, 3, 3)), [1, 3, 4])],
            "it gives [1, 3, 3], but the target is [1, 3, 4] (check stride, padding and dilation)",
        ),
        ([{"type": "dense", "weight": [[2]]}], "it has no 'shape'"),
        ([{"type": "dense", "shape": [1]}], "it has no 'weight'"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_layer(
    layers: list[Layer], expected: str, tmp_path: Path
) -> None:
    path = file(tmp_path, *layers)
    with pytest.raises(ModelError) as error:
        read_netx(path)
    text = str(error.value).splitlines()
    index = len(layers) - 1
    assert text == [f"a.net: layer {index}: {expected}"]


def damaged(path: Path, kind: str) -> Path:
    target = path / "a.net"
    if kind == "empty":
        target.write_bytes(b"")
    elif kind == "text":
        target.write_text("layer")
    elif kind == "other":
        with h5py.File(target, "w") as h:
            h["node/type"] = 1
    elif kind == "gap":
        with h5py.File(target, "w") as h:
            h.create_group("layer/1")
    return target


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("missing", "there is no such file"),
        ("empty", "it is empty (export or download it again)"),
        ("text", "it is not an HDF5 file (netx networks are HDF5 files)"),
        (
            "other",
            "it is an HDF5 file but not a netx network: it has no group 'layer' (it holds 'node')",
        ),
        ("gap", "its layers are ['1'], not numbered from 0 without a gap"),
    ],
)
def test_a_file_that_is_no_netx_network_is_named(kind: str, expected: str, tmp_path: Path) -> None:
    path = damaged(tmp_path, kind)
    with pytest.raises(ModelError) as error:
        read_netx(path)
    assert str(error.value) == f"{path}: {expected}"


def test_what_netx_has_no_place_for_is_refused_with_every_reason(tmp_path: Path) -> None:
    net = (
        ChipBuilder()
        .input("x", 2)
        .population("a", 2, du=0, dv=0, vth_mant=1, reset="subtract")
        .population("b", 1, du=0, dv=0, vth_mant=1, bias_mant=1)
        .connect("x", "a", [[2, 2], [2, 2]], delay=[[0, 0], [1, 0]])
        .connect("a", "b", [[2, 2]])
        .connect("x", "b", [[2, 2]])
        .build()
    )
    with pytest.raises(ModelError) as error:
        write_netx(net, tmp_path / "a.net")
    assert str(error.value).splitlines() == [
        "a: netx has no reset by subtraction",
        "b: it gets its input from x, not from 'a' (netx holds one chain of layers)",
        "x: the delays of one neuron's synapses differ (netx has that for one dense layer only)",
    ]


def clearings(net: ChipNetwork) -> list[tuple[int, int]]:
    return [(p.reset_interval, p.reset_offset) for p in net.populations if isinstance(p, Cuba)]


def three_layers(path: Path, **more: Any) -> Path:
    flat = {"type": "flatten", "shape": [2, 1, 1]}
    return file(path, dense([[2, 4], [6, 8]], **more), flat, dense([[4, 2]]), dense([[2]]))


def test_layers_are_cleared_one_after_the_other_as_lava_dl_does(tmp_path: Path) -> None:
    """netx.hdf5.Network(reset_interval=5, reset_offset=3): LIFReset offsets 4, 5 and 6, where
    the first step is 1; a flatten counts for nothing."""
    net = read_netx(three_layers(tmp_path), reset_interval=5, reset_offset=3)
    assert clearings(net) == [(5, 3), (5, 4), (5, 0)]
    write_netx(net, tmp_path / "copy.net")
    assert described(read_netx(tmp_path / "copy.net")) == described(net)
    assert clearings(read_netx(tmp_path / "copy.net")) == clearings(net)
    assert clearings(read_netx(three_layers(tmp_path))) == [(0, 0)] * 3


def test_a_layer_may_hold_the_numbers_of_its_lif_reset(tmp_path: Path) -> None:
    own = {"neuron/reset_interval": 8, "neuron/reset_offset": 1}
    net = read_netx(three_layers(tmp_path, **own))
    assert clearings(net) == [(8, 0), (0, 0), (0, 0)]
    write_netx(net, tmp_path / "copy.net")
    assert clearings(read_netx(tmp_path / "copy.net")) == clearings(net)


def test_a_built_network_keeps_its_clearing_in_a_file(tmp_path: Path) -> None:
    builder = ChipBuilder().input("input", 2)
    builder.population("layer1", 1, du=1, dv=2, vth_mant=3, reset_interval=6, reset_offset=5)
    net = builder.connect("input", "layer1", [[2, 4]]).build()
    write_netx(net, tmp_path / "built.net")
    assert clearings(read_netx(tmp_path / "built.net")) == [(6, 5)]


def test_clearing_of_sigma_delta_neurons_is_refused(tmp_path: Path) -> None:
    path = file(tmp_path, dense([[2, 4]], **neuron(type="SDNN")))
    with pytest.raises(ModelError) as error:
        read_netx(path, reset_interval=5)
    assert str(error.value) == (
        "a.net: layer 0: reset_interval of sigma-delta neurons is not supported "
        "(lava-dl passes over it: leave it out)"
    )
    with pytest.raises(ModelError) as error:
        read_netx(three_layers(tmp_path), reset_interval=0)
    assert "reset_interval is 0, outside 1..2147483647" in str(error.value)


@pytest.mark.parametrize(
    ("weight", "kept"),
    [
        ([[127, -128, 5, -5]], [(8, -1, "mixed")]),
        ([[200, 4, -78, -256]], [(8, 0, "mixed")]),
        ([[200, 3, -77, -101]], [(8, 0, "excitatory"), (8, 0, "inhibitory")]),
        ([[254, 1, -3, -256]], [(8, 0, "excitatory"), *[(8, 0, "inhibitory")] * 2]),
    ],
)
@pytest.mark.parametrize("delay", [None, [[5.0]], [[5.0, 0.0, 2.0, 0.0]]])
def test_weights_of_both_signs_are_applied_as_they_are_in_what_the_chip_stores(
    weight: Any, kept: Any, delay: Any, tmp_path: Path
) -> None:
    """lava-dl doubles weights up to 127 (exponent -1) and asks Lava for 9 bits beyond."""
    more = {} if delay is None else {"delay": np.array(delay)}
    layer = dense(weight, **more)
    before = {"type": "input", "shape": [4]}
    net = read_netx(file(tmp_path, before, layer))
    into = net.into("layer1")
    rows = [matrix(c.synapses, 1, 4, None) for c in into]
    total = sum(row if isinstance(row, np.ndarray) else row.toarray() for row in rows)
    assert np.asarray(total).tolist() == weight
    assert set(kept) == {(c.bits, c.exponent, c.signs) for c in into}
    write_netx(net, tmp_path / "copy.net")
    assert described(read_netx(tmp_path / "copy.net")) == described(net)
    assert content(tmp_path / "copy.net") == content(tmp_path / "a.net")


def test_a_weight_of_255_among_negative_ones_is_refused(tmp_path: Path) -> None:
    """lava-dl would clip it to 254."""
    with pytest.raises(ModelError) as error:
        read_netx(file(tmp_path, dense([[255, -1]])))
    assert str(error.value) == (
        "a.net: layer 0: weights -1..255 do not fit 8 bits and an exponent "
        "(mixed -256..254, others up to 255)"
    )
