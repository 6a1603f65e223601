"""`portraitseg archs`: the list, one net's table, its diagram, and what is refused."""

import pytest

from portraitseg import archs, cli

SMALL = ("munet_mnv3", "munet_mnv3_transition", "munet_mnv2_transition")


@pytest.fixture
def few(monkeypatch):
    """Three archs, so that the list is quick."""
    monkeypatch.setattr(archs, "ARCHS", {name: archs.ARCHS[name] for name in SMALL})


def test_the_list_has_every_published_count_and_every_default_in_columns(few, capsys):
    assert cli.main(argv=["archs"]) == 0
    printed = capsys.readouterr().out
    rows = [line.split() for line in printed.splitlines()]
    assert rows[0] == ["arch", "wm", "size", "options", "training", "trainable", "folded", "MMACs"]
    assert ["munet_mnv3", "1", "224", "-", "2,578,449=", "2,565,345", "2,552,241=", "550"] in rows
    assert ["munet_mnv3", "0.5", "224", "-", "1,216,293=", "1,204,253", "1,192,213=", "222"] in rows
    assert ["munet_mnv3_transition", "[1]", "1", "256", "2", "classes", "969,970=", "952,018", "940,122=", "147"] in rows
    assert ["munet_mnv3_transition", "1", "256", "-", "969,953", "952,001", "940,105", "146"] in rows
    assert ["munet_mnv2_transition", "0.35", "256", "-", "417,489", "402,257", "392,785", "108"] in rows
    assert "[1] the original's head has two channels" in printed
    assert "--resize half_pixel|align_corners|transpose" in printed
    lines = printed.split("\n\n")[0].splitlines()
    assert len({line.index(cell) for line, cell in zip(lines[1:], ("550", "222", "147", "146", "108"), strict=True)}) == 1


def test_one_net_stage_by_stage(capsys):
    assert cli.main(argv=["archs", "munet_mnv2", "--decoder", "bilinear"]) == 0
    printed = capsys.readouterr().out
    rows = {line.split("  ")[0]: line.split() for line in printed.splitlines()}
    assert rows["dec4"] == ["dec4", "8x8", "800", "bilinear", "x2,", "conv", "3x3,", "concat", "enc", "1/16", "(288)", "737,792", "47.2"]
    assert rows["total"][:2] == ["total", "3,620,617"]
    assert round(float(rows["total"][2].replace(",", ""))) == 2020
    assert "munet_mnv2, wm 0.5, decoder bilinear, resize half_pixel" in printed
    assert "input    128x128x3, RGB, (byte - 127.5) / 127.5" in printed
    assert "while training: 3,648,561 parameters" in printed


def test_settings_reach_the_net(capsys):
    arguments = ["archs", "munet_mnv3", "--size", "64", "--wm", "1", "--channels", "4", "--classes", "2"]
    assert cli.main(argv=arguments) == 0
    printed = capsys.readouterr().out
    assert "input    64x64x4" in printed
    assert "output   64x64x2 logits" in printed
    assert f"{2_552_241 + 9 * 16 + 17:,}" in printed  # the fourth channel's kernel; a second head of 16 weights and a bias


def test_training_only_outputs_are_named_and_not_counted(capsys):
    assert cli.main(argv=["archs", "portrait_net", "--size", "32", "--classes", "2"]) == 0
    printed = capsys.readouterr().out
    assert "outputs for training alone: boundary" in printed
    assert "2,080,904 of them trainable" in printed  # the published 2,080,760 and the boundary head's 144
    assert "head" in printed
    assert [line.split()[:3] for line in printed.splitlines() if line.startswith("head")] == [["head", "32x32", "2"]]


def test_diagrams_are_written_and_kept(tmp_path, capsys):
    arguments = ["archs", "munet_mnv2_transition", "--size", "64", "--diagram"]
    assert cli.main(argv=[*arguments, str(tmp_path / "net.png")]) == 0
    assert (tmp_path / "net.png").read_bytes().startswith(b"\x89PNG")
    assert f"wrote {tmp_path / 'net.png'}" in capsys.readouterr().out
    (tmp_path / "net.mmd").write_text("mine")
    assert cli.main(argv=[*arguments, str(tmp_path / "net.mmd")]) == 2
    assert "add --force" in capsys.readouterr().err
    assert (tmp_path / "net.mmd").read_text() == "mine"
    assert cli.main(argv=[*arguments, str(tmp_path / "net.mmd"), "--force"]) == 0
    assert "munet_mnv2_transition-wm035-64" in (tmp_path / "net.mmd").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "64"], "name it: portraitseg archs NAME"),
        (["nonet"], "unknown arch 'nonet'; choose one of munet_mnv2"),
        (["munet_mnv3", "--decoder", "bilinear"], "munet_mnv3 has no decoder 'bilinear'; leave it out"),
        (["munet_mnv3", "--size", "100"], "multiple of 32, got 100; try 96"),
        (["munet_mnv3", "--diagram", "net.svg"], "a diagram ends in .png or .mmd, got 'net.svg'"),
    ],
)
def test_refusals(arguments, message, capsys):
    assert cli.main(argv=["archs", *arguments]) == 2
    assert message in capsys.readouterr().err
