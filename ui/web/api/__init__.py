"""REST under /v1: JSON in and out, over the parts of one open library: /v1/... of the first,
/v1/libraries/NAME/... of one that was made in the page. The page itself uses these routes."""
