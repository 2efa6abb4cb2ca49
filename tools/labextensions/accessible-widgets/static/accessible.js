// What the controls of ipywidgets lack for those who hear a page or use it without a mouse. `make lab` has JupyterLab load it.
// - A slider has no name, and a logarithmic one reads out its exponent: it gets the words of its label, and the value beside it.
// - In a drop-down list the arrow keys would move to another cell of the notebook: they stay in the list.
(() => {
  const set = (element, name, value) => element.getAttribute(name) === value || element.setAttribute(name, value);

  function mend() {
    for (const slider of document.querySelectorAll(".widget-slider:has(.widget-readout)")) {
      const label = slider.querySelector(".widget-label").textContent;
      const handle = slider.querySelector(".noUi-handle");
      const readout = slider.querySelector(".widget-readout");
      set(handle, "aria-label", label);
      set(handle, "aria-valuetext", readout.textContent);
      set(readout, "aria-label", label);
      set(readout, "role", "textbox");
    }
    for (const list of document.querySelectorAll(".widget-dropdown select")) set(list, "data-lm-suppress-shortcuts", "true");
  }

  const changes = { subtree: true, childList: true, attributeFilter: ["aria-valuetext"] };
  const plugin = {
    id: "accessible-widgets:plugin",
    autoStart: true,
    activate: () => new MutationObserver(mend).observe(document.body, changes),
  };
  // What a bundler would write: JupyterLab asks this object for the extension.
  const container = { init() {}, get: async () => () => ({ __esModule: true, default: plugin }) };
  (window._JUPYTERLAB ??= {})["accessible-widgets"] = container;
})();
