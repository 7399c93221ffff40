import zipfile

from tests.programs import run_here
from tools import prepare_celeba


def test_makes_the_folder(tiny_celeba, tmp_path, capsys):
    archive, output = tmp_path / "img_align_celeba.zip", tmp_path / "celeba"
    with zipfile.ZipFile(archive, "w") as opened:
        for file in (tiny_celeba / "img_align_celeba").iterdir():
            opened.write(file, f"img_align_celeba/{file.name}")
    code = run_here(
        prepare_celeba,
        f"--zip={archive}",
        f"--output={output}",
        f"--attributes={tiny_celeba / 'list_attr_celeba.txt'}",
        f"--partition={tiny_celeba / 'list_eval_partition.txt'}",
    )
    assert code == 0
    assert "60 images with 40 attributes" in capsys.readouterr().out
    assert len(list(output.iterdir())) == 3
