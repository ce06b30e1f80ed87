# SPDX-License-Identifier: MIT
"""Sphinx's settings for the handouts. handouts/build.py prepares the sources and runs Sphinx."""

project = "Denali"
author = "the Denali course"
copyright = "the Denali course, MIT licence"  # noqa: A001
extensions = ["myst_parser"]
myst_enable_extensions = ["deflist", "colon_fence"]
myst_heading_anchors = 3
nitpicky = True
html_theme = "furo"
html_title = "Denali"
html_static_path = ["_static"]
html_css_files = ["handouts.css"]
html_js_files = ["theme.js"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}
highlight_language = "none"
