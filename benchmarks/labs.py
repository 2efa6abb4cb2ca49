"""From a slider to the pixels: the descent lab against the same figure through `interact` and inline pictures.

    python -m benchmarks.labs

A real JupyterLab in headless Chromium, one page, one kernel, both figures in it; the two take turns. A key press
moves the slider one step, and the clock stops at the first frame after the new picture is decoded. Then the mouse
drags the slider to and fro for three seconds: new pictures are counted, and how late the last one comes.
"""

import pathlib
import statistics
import tempfile

import numpy as np

from benchmarks._browser import CHROMIUM_FLAGS, JupyterLab, Page, chromium
from benchmarks._table import publish, row

ROUNDS, PRESSES, DRAG_SECONDS = 5, 20, 3
PEER = "interact + inline"
OURS_CELL = "from course_lib.labs.gradient_descent import DescentLab\nDescentLab()"
# The same axes and artists, made and drawn anew at each event as notebooks commonly do it.
PEER_CELL = """
%matplotlib inline
import ipywidgets
import matplotlib.pyplot as plt
from course_lib.labs.gradient_descent import DescentLab, descent

class Anew(DescentLab):
    live = slow = staticmethod(lambda artist: artist)
    values = {}
    def __init__(self): pass

@ipywidgets.interact(learning_rate=ipywidgets.FloatLogSlider(0.1, min=-2, max=0.3, step=0.01))
def show(learning_rate):
    lab, arrays = Anew(), descent(learning_rate, steps=40)
    lab.values = {"learning_rate": learning_rate, "steps": 40}
    fig = plt.figure(figsize=(lab.width, lab.height), dpi=100 * lab.sharpness, layout="constrained")
    lab.build(fig)
    lab.draw_slow(arrays)
    lab.draw(arrays)
    plt.show()
"""
# How a reader's page finds the picture of a cell; `frames` and `press` run in the page.
IN_PAGE = """
window.shown = cell => cell.querySelector('img.widget-image') || cell.querySelector('.jp-OutputArea .jp-RenderedImage img');
window.frame = () => new Promise(requestAnimationFrame);
window.press = async (cell, key) => {
    const handle = cell.querySelector('.noUi-handle'), before = shown(cell).src, start = performance.now();
    handle.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
    while (performance.now() - start < 5000) {
        await frame();
        const image = shown(cell);
        if (image && image.complete && image.src !== before) {
            await image.decode();
            await frame();
            return performance.now() - start;
        }
    }
    return NaN;
};
window.watch = cell => {
    const record = {times: [], on: true};
    addEventListener('pointerup', () => { record.released = performance.now() }, {capture: true, once: true});
    let last = shown(cell).src;
    (async () => { while (record.on) {
        await frame();
        const image = shown(cell);
        if (image && image.complete && image.src !== last) { last = image.src; record.times.push(performance.now()); }
    }})();
    return window.record = record;
};
"""


def main():
    path = chromium()
    if path is None:
        return print("No Chromium on this machine: not measured. Debian: apt install chromium")
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        option = "--ServerApp.kernel_websocket_connection_class=course_lib.labs.server.PromptConnection"
        server = JupyterLab(pathlib.Path(folder), option)
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        try:
            return publish("labs", _rows(*_measure(browser, server)))
        finally:
            browser.close()
            server.stop()


def _measure(browser, server):
    """Return (seconds from press to pixels, seconds per picture of each drag, lag of each drag) for both sides."""
    reader = Page(browser)
    page = reader.open(server.notebook("bench", OURS_CELL, PEER_CELL))
    cells = [reader.run_cell(0), reader.run_cell(1, picture=".jp-RenderedImage img")]
    page.evaluate(f"() => {{ {IN_PAGE} }}")
    presses, pictures, lags = ([[], []] for _ in range(3))
    for turn in range(ROUNDS):
        for side in (0, 1) if turn % 2 else (1, 0):
            cells[side].scroll_into_view_if_needed()
            presses[side].append(_presses(page, cells[side]))
            count, lag = _drag(page, cells[side])
            pictures[side].append(DRAG_SECONDS / count)
            lags[side].append(lag)
    reader.close()
    return presses, pictures, lags


def _presses(page, cell):
    """Seconds of single presses, to and fro in the middle of the slider, with a pause after each."""
    element, seconds = cell.element_handle(), []
    for i in range(PRESSES):
        key = "ArrowRight" if i // 5 % 2 else "ArrowLeft"
        seconds.append(page.evaluate("([cell, key]) => press(cell, key)", [element, key]) / 1e3)
        page.wait_for_timeout(60)
    return seconds


def _drag(page, cell):
    """Drag to and fro; return the pictures shown meanwhile and the seconds from release to the last one."""
    track = cell.locator(".noUi-base").first.bounding_box()
    handle = cell.locator(".noUi-handle").first.bounding_box()
    height = handle["y"] + handle["height"] / 2
    page.mouse.move(handle["x"] + handle["width"] / 2, height)
    page.mouse.down()
    page.evaluate("cell => { watch(cell) }", cell.element_handle())
    start = page.evaluate("performance.now()")
    now, step = start, 0
    while now - start < DRAG_SECONDS * 1e3:
        where = 0.5 + 0.35 * np.sin(step / 18)
        page.mouse.move(track["x"] + where * track["width"], height)
        page.wait_for_timeout(8)
        now, step = page.evaluate("performance.now()"), step + 1
    page.mouse.move(track["x"] + track["width"] / 2, height)  # a last step just before the hand lets go
    page.mouse.up()
    page.wait_for_timeout(2000)
    record = page.evaluate("() => { record.on = false; return record }")
    times, released = np.array(record["times"]), record["released"]
    return max(1, (times <= released).sum()), max(1.0, times.max(initial=0) - released) / 1e3


def _rows(presses, pictures, lags):
    size = "640,000 pixels"
    every = [np.concatenate(side) for side in presses]
    slow = [[np.quantile(one, 0.95) for one in side] for side in presses]
    print(f"pictures a second under a drag: {1 / statistics.median(pictures[0]):.1f}, {PEER} {1 / statistics.median(pictures[1]):.1f}")
    return [
        row("slider to pixels", size, *every, target=4, peer_name=PEER),
        row("slider to pixels, 95th percentile of each round", size, *slow, peer_name=PEER),
        row(f"time per picture under a {DRAG_SECONDS} s drag", size, *pictures, target=5, peer_name=PEER),
        row("last picture after release", size, *lags, peer_name=PEER),
    ]


if __name__ == "__main__":
    main()
