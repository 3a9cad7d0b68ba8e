//! Whatever a client sends, memory and time are bounded and the others go on.
