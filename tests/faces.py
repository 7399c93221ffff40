"""Drawn faces in the layout of CelebA, so that no test needs real ones."""

from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf

from dfcvae_tf.data.celeba_lists import ATTRIBUTES_FILE, IMAGES_DIR, PARTITION_FILE

NAMES = (
    "5_o_Clock_Shadow",
    "Arched_Eyebrows",
    "Attractive",
    "Bags_Under_Eyes",
    "Bald",
    "Bangs",
    "Big_Lips",
    "Big_Nose",
    "Black_Hair",
    "Blond_Hair",
    "Blurry",
    "Brown_Hair",
    "Bushy_Eyebrows",
    "Chubby",
    "Double_Chin",
    "Eyeglasses",
    "Goatee",
    "Gray_Hair",
    "Heavy_Makeup",
    "High_Cheekbones",
    "Male",
    "Mouth_Slightly_Open",
    "Mustache",
    "Narrow_Eyes",
    "No_Beard",
    "Oval_Face",
    "Pale_Skin",
    "Pointy_Nose",
    "Receding_Hairline",
    "Rosy_Cheeks",
    "Sideburns",
    "Smiling",
    "Straight_Hair",
    "Wavy_Hair",
    "Wearing_Earrings",
    "Wearing_Hat",
    "Wearing_Lipstick",
    "Wearing_Necklace",
    "Wearing_Necktie",
    "Young",
)
# What can be seen in the drawing; the other attributes are tossed coins.
DRAWN = ("Blond_Hair", "Eyeglasses", "Mouth_Slightly_Open", "Pale_Skin", "Smiling")
HEIGHT, WIDTH = 218, 178


def draw_face(has: dict[str, bool], rng: np.random.Generator) -> np.ndarray:
    """Returns a face with the attributes of DRAWN it has, uint8 [218, 178, 3] RGB."""

    def color(*rgb: int) -> tuple[int, ...]:
        return tuple(int(c) for c in np.clip(rgb + rng.normal(0, 8, 3), 0, 255))

    image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    image[:] = rng.integers(40, 216, 3)
    x, y = (int(c) for c in (89, 118) + rng.integers(-3, 4, 2))
    hair = color(230, 200, 110) if has["Blond_Hair"] else color(50, 35, 25)
    skin = color(245, 225, 210) if has["Pale_Skin"] else color(190, 140, 105)
    cv2.ellipse(image, (x, y - 12), (58, 70), 0, 0, 360, hair, -1)
    cv2.ellipse(image, (x, y), (44, 60), 0, 0, 360, skin, -1)
    for side in (-18, 18):
        cv2.circle(image, (x + side, y - 12), 5, (30, 30, 40), -1)
        if has["Eyeglasses"]:
            cv2.circle(image, (x + side, y - 12), 13, (10, 10, 10), 3)
    if has["Eyeglasses"]:
        cv2.line(image, (x - 6, y - 12), (x + 6, y - 12), (10, 10, 10), 3)
    cv2.line(image, (x, y - 2), (x, y + 12), color(150, 100, 80), 3)
    lips = (170, 40, 50)
    if has["Smiling"]:
        cv2.ellipse(image, (x, y + 22), (20, 14), 0, 15, 165, lips, 4)
    else:
        cv2.line(image, (x - 16, y + 34), (x + 16, y + 34), lips, 4)
    if has["Mouth_Slightly_Open"]:
        cv2.ellipse(image, (x, y + 34), (10, 6), 0, 0, 360, (60, 10, 15), -1)
    return image


def write_celeba(folder: Path, count: int = 60, seed: int = 0) -> None:
    """Writes images, attributes and partition: 2 of 3 train, then validation, then test."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 2, (count, len(NAMES)))
    files = [f"{number:06d}.jpg" for number in range(1, count + 1)]
    (folder / IMAGES_DIR).mkdir(parents=True)
    for file, row in zip(files, values, strict=True):
        has = dict(zip(NAMES, row.astype(bool), strict=True))
        pixels = cv2.cvtColor(draw_face(has, rng), cv2.COLOR_RGB2BGR)
        encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
        (folder / IMAGES_DIR / file).write_bytes(encoded.tobytes())
    rows = [
        f"{file}  {' '.join(f'{2 * value - 1:2d}' for value in row)}"
        for file, row in zip(files, values, strict=True)
    ]
    lines = [str(count), " ".join(NAMES), *rows]
    (folder / ATTRIBUTES_FILE).write_text("\n".join(lines) + "\n")
    train, validation = count * 2 // 3, count // 10
    parts = ["0"] * train + ["1"] * validation
    parts += ["2"] * (count - len(parts))
    (folder / PARTITION_FILE).write_text(
        "".join(f"{file} {part}\n" for file, part in zip(files, parts, strict=True))
    )


def write_facenet(path: Path) -> None:
    """Writes a small frozen graph with the tensor names of FaceNet's first layers."""
    graph = tf.Graph()
    with graph.as_default():
        images = tf.compat.v1.placeholder(tf.float32, (None, 40, 40, 3), name="input")
        rng = np.random.default_rng(0)
        for name in ("1a", "2a", "2b", "4b"):
            shape = (3, 3, images.shape[-1], 8)
            kernel = tf.constant(rng.normal(0, 0.3, shape), tf.float32)
            images = tf.nn.relu(
                tf.nn.conv2d(images, kernel, 2, "SAME"),
                name=f"InceptionResnetV1/Conv2d_{name}_3x3/Relu",
            )
    path.write_bytes(graph.as_graph_def().SerializeToString())
