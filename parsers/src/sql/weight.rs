//! What an analysis of a text may cost, estimated from its tokens before any C code sees it.
