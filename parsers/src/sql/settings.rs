//! What a setting may change: how text is read, what names mean, whose rights hold, or nothing of concern.
