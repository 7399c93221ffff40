// The decoded picture on a canvas: one canvas pixel per picture pixel, scaled by CSS.

/** Larger pictures are smoothed, smaller ones show their pixels. */
const isSmall = ({ width, height }) => Math.max(width, height) <= 64;

/**
 * Draws a picture.
 *
 * @param {HTMLCanvasElement} canvas takes the picture's size.
 * @param {Float32Array} values height x width x channels, in image.range.
 * @param {object} image the manifest's description of pictures.
 */
export function drawPicture(canvas, values, image) {
  const { width, height, channels, range } = image;
  const [low, high] = range;
  if (canvas.width !== width || canvas.height !== height) {
    Object.assign(canvas, { width, height });
    canvas.classList.toggle("pixelated", isSmall(image));
  }
  const pixels = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) {
      // The clamped array rounds and clips; one channel serves all three colours.
      const value = values[i * channels + (c % channels)];
      pixels.data[i * 4 + c] = ((value - low) / (high - low)) * 255;
    }
    pixels.data[i * 4 + 3] = 255;
  }
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

/** Keeps a canvas as large as its frame allows. */
export function fillFrame(canvas, frame, image) {
  const fit = () => {
    let scale = Math.min(frame.clientWidth / image.width, frame.clientHeight / image.height);
    if (isSmall(image)) {
      // As many screen pixels for one pixel as for the next.
      const ratio = window.devicePixelRatio;
      scale = Math.max(1, Math.floor(scale * ratio)) / ratio;
    }
    canvas.style.width = `${image.width * scale}px`;
    canvas.style.height = `${image.height * scale}px`;
  };
  new ResizeObserver(fit).observe(frame);
  fit();
}

/** Offers the picture as a PNG file of its own size. */
export function savePicture(canvas, fileName) {
  canvas.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = fileName;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }, "image/png");
}
