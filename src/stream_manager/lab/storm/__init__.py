"""The storm simulator: the real recovery engine against a simulated world, on a virtual clock.

Read in this order: world (what a start meets), scenarios (which troubles there are), contenders
(the policies that are compared), simulation (the loop), figures (what is counted), picture.
"""
