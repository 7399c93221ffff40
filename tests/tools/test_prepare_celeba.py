import zipfile

import pytest

from dfcvae_tf.command_line import run_program
from tools import prepare_celeba


def _run(*arguments):
    with pytest.raises(SystemExit) as ended:
        run_program(
            prepare_celeba.__doc__,
            prepare_celeba.define_flags,
            prepare_celeba.main,
            ["prog", *arguments],
        )
    return ended.value.code


def test_makes_the_folder(tiny_celeba, tmp_path, capsys):
    archive, output = tmp_path / "img_align_celeba.zip", tmp_path / "celeba"
    with zipfile.ZipFile(archive, "w") as opened:
        for file in (tiny_celeba / "img_align_celeba").iterdir():
            opened.write(file, f"img_align_celeba/{file.name}")
    code = _run(
        f"--zip={archive}",
        f"--output={output}",
        f"--attributes={tiny_celeba / 'list_attr_celeba.txt'}",
        f"--partition={tiny_celeba / 'list_eval_partition.txt'}",
    )
    assert code == 0
    assert "60 images with 40 attributes" in capsys.readouterr().out
    assert len(list(output.iterdir())) == 3


def test_wrong_input_is_one_line(tmp_path, capsys):
    page = tmp_path / "img_align_celeba.zip"
    page.write_text("<!doctype html><title>Google Drive - Quota exceeded</title>")
    for arguments, said in (
        (["--output=x"], "--zip and --output"),
        ([f"--zip={page}"], "--zip and --output"),
        ([f"--zip={page}", f"--output={tmp_path / 'new'}"], "quota"),
    ):
        assert _run(*arguments) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1
