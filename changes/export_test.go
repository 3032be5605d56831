package changes

// Since is the statement of a step, for tests of its plan and its cost.
const Since = since

var ReadSince = readSince
