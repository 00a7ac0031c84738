"""The API of the rehearsal cluster: from a parsed request to an answer, without HTTP."""
