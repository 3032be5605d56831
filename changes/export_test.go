package changes

// Since is the statement of a step, for tests of its plan and its cost.
const Since = sinceSQL

// ReadSince reads what a step does.
var ReadSince = readSince
