"""What each operation of the workbench asks for, once, for the command line, the API and the tab."""
