"""The BBOB harness: campaigns on COCO's suites, their scores and their report.

A campaign (`lmcma.bbob.campaign`) is cut into independent jobs (`lmcma.bbob.jobs`), each a method on a
function in a dimension; `lmcma.bbob.runner` executes them in worker processes, one trial
(`lmcma.bbob.trial`) per instance. `lmcma.bbob.score` reads COCO's data back, `lmcma.bbob.report` writes the
page. The command line is `lmcma bbob run` and `lmcma bbob report`.
"""
