// Draws the map in a sandbox: plotly.js compiles its WebGL code at run time, which the page itself
// forbids. What it knows comes as messages, what is done with the mouse goes back as messages.
"use strict";
(() => {
  const plot = document.getElementById("plot");
  const tell = (message) => parent.postMessage(message, "*");  // this frame's own origin is opaque
  const webgl = (() => {
    try { return Boolean(document.createElement("canvas").getContext("webgl")); } catch { return false; }
  })();
  const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  let chain = Promise.resolve();

  async function draw({ groups, theme }) {
    const traces = groups.map((group) => ({
      type: webgl ? "scattergl" : "scatter",
      mode: "markers",
      name: escaped(group.name),
      x: group.x,
      y: group.y,
      customdata: group.clips,
      text: group.texts.map(escaped),
      hoverinfo: "text",
      marker: { color: group.colour, symbol: group.symbol, size: theme.size, opacity: 0.85, line: { width: 0.5, color: theme.paper } },
      selected: { marker: { opacity: 1 } },
      unselected: { marker: { opacity: 0.15 } },
      selectedpoints: group.selected,
    }));
    const axis = { showgrid: true, gridcolor: theme.line, zeroline: false, showticklabels: false, ticks: "" };
    const layout = {
      autosize: true,
      dragmode: theme.mode,
      hovermode: "closest",
      showlegend: false,
      margin: { l: 8, r: 8, t: 8, b: 8 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: theme.ink, family: "system-ui, sans-serif" },
      hoverlabel: { bgcolor: theme.paper, bordercolor: theme.line, font: { color: theme.ink } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: theme.soft, activecolor: theme.accent },
      newselection: { line: { color: theme.accent, width: 2 } },
      activeselection: { fillcolor: theme.accent, opacity: 0.06 },
      selections: [],
      uirevision: theme.place,
      xaxis: axis,
      yaxis: { ...axis },
    };
    const config = {
      displaylogo: false,
      responsive: true,
      scrollZoom: true,
      modeBarButtons: [["lasso2d", "select2d", "pan2d"], ["zoomIn2d", "zoomOut2d", "resetScale2d"]],
    };
    const first = !plot.data;
    await Plotly.react(plot, traces, layout, config);
    if (first) listen();
    tell({ type: "drawn", webgl });
  }

  function listen() {
    plot.on("plotly_hover", ({ points }) => tell({ type: "hover", clip: points[0].customdata }));
    plot.on("plotly_unhover", () => tell({ type: "unhover" }));
    plot.on("plotly_click", ({ points }) => tell({ type: "click", clip: points[0].customdata }));
    plot.on("plotly_selected", (event) => event && tell({ type: "selected", clips: event.points.map((one) => one.customdata) }));
    plot.on("plotly_deselect", () => tell({ type: "selected", clips: [] }));
  }

  addEventListener("message", (event) => {
    if (event.source !== parent || event.data?.type !== "draw") return;
    chain = chain.then(() => draw(event.data)).catch((error) => tell({ type: "failed", message: String(error) }));
  });
  addEventListener("load", () => tell(window.Plotly ? { type: "ready" } : { type: "failed", message: "plotly.js was not loaded" }));
})();
