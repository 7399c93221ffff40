"""The page of `make demo`."""

import re
import shutil

import pytest

from dfcvae_tf.config import to_dict
from dfcvae_tf.files import write_json
from dfcvae_tf.presets import preset_config
from tests.programs import run_here
from tools import demo_page

DECODER = "decoder_int8.tflite"
MANIFEST = {
    "recommended": {"cpu": {"variant": "int8", "file": DECODER}, "gpu": None},
    "variants": [
        {
            "name": "int8",
            "decoder": DECODER,
            "parity": {"decoder": {}},
            "quality": {"decoder": {"worst_psnr_db": 41.2}},
            "latency": {"decoder": {"median_ms": {"1": 0.0514}}},
            "gpu": {"decoder": {}},
        }
    ],
    "files": {DECODER: {"bytes": 144_000}},
}


@pytest.fixture(name="demo")
def _demo(tmp_path):
    """A folder with a report of three runs, of which the second is in it."""
    demo = tmp_path / "a demo"
    results = {
        "data": {"num_images": 1000},
        "runs": {
            n: {"sharpness_ratio": v}
            for n, v in zip("abc", (0.1, 0.4, 0.9), strict=True)
        },
        "provenance": {
            "runs": {
                name: {"settings": to_dict(preset_config(preset))}
                for name, preset in (
                    ("a", "mnist-vae"),
                    ("b", "mnist-dfc-vae"),
                    ("c", "mnist-dfc-vae-gan"),
                )
            }
        },
        "comparison": {
            "verdicts": [
                {"claims": [{"supported": True, "sentence": "b is sharper than a"}]}
            ]
        },
    }
    write_json(demo / "report" / "report.json", results)
    write_json(demo / "export" / "manifest.json", MANIFEST)
    (demo / "report" / "figures").mkdir()
    for name in ("reconstructions", "asked_1", "asked_2"):
        (demo / "report" / "figures" / f"{name}.png").touch()
    (demo / "b").mkdir()
    return demo


def test_pictures_come_first_then_figures_and_all_it_shows_is_there(demo, capsys):
    assert run_here(demo_page, f"--dir={demo}") == 0
    page = (demo / "index.html").read_text()
    shown = re.findall(r'src="([^"]+)"', page)
    # Of the run that was trained here, by its place in the report.
    assert shown == [f"report/figures/{n}.png" for n in ("reconstructions", "asked_1")]
    assert all((demo / path).is_file() for path in shown)
    assert (
        "<b>b</b> was trained just now on this machine, 1000 steps of\n128 digits"
        in page
    )
    assert "a, pixel by pixel; b, what hidden" in page and "a discriminator." in page
    assert page.index("reconstructions") < page.index('<td class="best">0.900</td>')
    assert '<p class="verdict supported">b is sharper than a</p>' in page
    assert "take decoder_int8.tflite: 144 kB, 51 µs on 1 thread" in page
    assert "make web" in page and "serve_web" not in page
    assert "a%20demo/index.html" in capsys.readouterr().out


def test_the_decoder_is_live_where_the_export_has_a_page(demo, capsys):
    (demo / "export" / "index.html").touch()
    assert run_here(demo_page, f"--dir={demo}") == 0
    serve = f"-m tools.serve_web --dir='{demo / 'export'}'"
    assert serve in capsys.readouterr().out
    page = (demo / "index.html").read_text()
    assert "make web" not in page
    assert '<a class="button" href="http://127.0.0.1:8000/">' in page


def test_what_is_missing_is_said(demo, capsys):
    shutil.rmtree(demo / "b")
    assert run_here(demo_page, f"--dir={demo}") == 2
    assert "holds none of the runs" in capsys.readouterr().err
    (demo / "export" / "manifest.json").unlink()
    assert run_here(demo_page, f"--dir={demo}") == 2
    assert "manifest.json" in capsys.readouterr().err
