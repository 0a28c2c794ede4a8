for (const source of document.querySelectorAll("script[type='application/json']")) {
  const figure = JSON.parse(source.textContent);
  Plotly.newPlot(source.previousElementSibling, figure.data, figure.layout,
    {responsive: true, displayModeBar: false});
}
