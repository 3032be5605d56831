package changes

// What a step asks of the database, for tests of its plan and its cost.
const Since = since

var ReadSince = readSince
