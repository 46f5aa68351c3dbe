"""The programs that lend their model. The only place that knows modules, backend, ldm, sgm or diffusers."""
