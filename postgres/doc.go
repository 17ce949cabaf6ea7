// Package postgres opens the database, brings its schema up to date, and runs the private server
// that keyrounds uses where no database is configured.
//
// It knows nothing of what the tables mean.
package postgres
