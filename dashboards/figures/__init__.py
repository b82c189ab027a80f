"""Each figure is a function from rows and facts to a Plotly figure, for the report and for the live page alike."""
