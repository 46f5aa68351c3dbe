"""The Block Weight panel, one part a file: `panel` lays them out. Only ui/ knows gradio."""
