"""Where tags land in real translations: every way of choosing a span, against the places that translators chose."""
