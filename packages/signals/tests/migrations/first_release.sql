BEGIN TRANSACTION;
CREATE TABLE events (
	seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	at VARCHAR(27) NOT NULL, 
	kind TEXT NOT NULL, 
	payload JSON NOT NULL
);
INSERT INTO "events" VALUES(1,'2016-01-12T00:00:00.000000Z','retrained','{"fold": 3}');
CREATE TABLE meta (
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "meta" VALUES('schema_version','1');
CREATE TABLE outcomes (
	signal_id VARCHAR(32) NOT NULL, 
	entry_at VARCHAR(27) NOT NULL, 
	exit_at VARCHAR(27) NOT NULL, 
	entry_price FLOAT NOT NULL, 
	exit_price FLOAT NOT NULL, 
	forecast_return FLOAT NOT NULL, 
	net_return FLOAT NOT NULL, 
	cost_bps FLOAT NOT NULL, 
	hit BOOLEAN, 
	inside_90 BOOLEAN NOT NULL, 
	resolved_at VARCHAR(27) NOT NULL, 
	PRIMARY KEY (signal_id), 
	FOREIGN KEY(signal_id) REFERENCES signals (id)
);
INSERT INTO "outcomes" VALUES('41825b454244fdd979f3ac52c0adf3c2','2016-01-12T00:00:00.000000Z','2016-01-12T00:00:00.000000Z',100.0,101.0,0.01,0.0086,14.1,1,0,'2016-01-12T00:00:00.000000Z');
CREATE TABLE signals (
	seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	id VARCHAR(32) NOT NULL, 
	symbol VARCHAR(32) NOT NULL, 
	as_of VARCHAR(27) NOT NULL, 
	horizon_bars INTEGER NOT NULL, 
	interval VARCHAR(8) NOT NULL, 
	side VARCHAR(8) NOT NULL, 
	probability FLOAT NOT NULL, 
	confidence FLOAT NOT NULL, 
	close FLOAT NOT NULL, 
	q05 FLOAT NOT NULL, 
	q25 FLOAT NOT NULL, 
	q50 FLOAT NOT NULL, 
	q75 FLOAT NOT NULL, 
	q95 FLOAT NOT NULL, 
	expires_at VARCHAR(27) NOT NULL, 
	created_at VARCHAR(27) NOT NULL, 
	strategy TEXT NOT NULL, 
	model_id TEXT NOT NULL, 
	data_fingerprint TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	CONSTRAINT one_signal UNIQUE (symbol, as_of, horizon_bars, interval, model_id, strategy), 
	UNIQUE (id)
);
INSERT INTO "signals" VALUES(1,'41825b454244fdd979f3ac52c0adf3c2','AAA','2016-01-04T00:00:00.000000Z',5,'1d','LONG',0.6,0.2,100.0,95.0,98.0,101.0,104.0,108.0,'2016-01-12T00:00:00.000000Z','2016-02-01T21:30:00.000000Z','threshold','model-1','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','because');
INSERT INTO "signals" VALUES(2,'f37ce9b29f12ea8f17f208ffedd32900','AAA','2016-01-05T00:00:00.000000Z',5,'1d','LONG',0.6,0.2,100.0,95.0,98.0,101.0,104.0,108.0,'2016-01-13T00:00:00.000000Z','2016-02-01T21:30:00.000000Z','threshold','model-1','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','because');
CREATE INDEX signals_by_time ON signals (as_of, seq);
CREATE TRIGGER signals_no_update BEFORE UPDATE ON signals BEGIN SELECT RAISE(ABORT, 'signals is append-only'); END;
CREATE TRIGGER signals_no_delete BEFORE DELETE ON signals BEGIN SELECT RAISE(ABORT, 'signals is append-only'); END;
CREATE TRIGGER signals_no_replace BEFORE INSERT ON signals WHEN EXISTS (SELECT 1 FROM signals WHERE id = NEW.id OR seq = NEW.seq OR (symbol = NEW.symbol AND as_of = NEW.as_of AND horizon_bars = NEW.horizon_bars AND interval = NEW.interval AND model_id = NEW.model_id AND strategy = NEW.strategy)) BEGIN SELECT RAISE(ABORT, 'signals is append-only'); END;
CREATE INDEX ix_events_at ON events (at);
CREATE INDEX ix_events_kind ON events (kind);
CREATE TRIGGER events_no_update BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events is append-only'); END;
CREATE TRIGGER events_no_delete BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events is append-only'); END;
CREATE TRIGGER events_no_replace BEFORE INSERT ON events WHEN EXISTS (SELECT 1 FROM events WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'events is append-only'); END;
CREATE TRIGGER outcomes_no_update BEFORE UPDATE ON outcomes BEGIN SELECT RAISE(ABORT, 'outcomes is append-only'); END;
CREATE TRIGGER outcomes_no_delete BEFORE DELETE ON outcomes BEGIN SELECT RAISE(ABORT, 'outcomes is append-only'); END;
CREATE TRIGGER outcomes_no_replace BEFORE INSERT ON outcomes WHEN EXISTS (SELECT 1 FROM outcomes WHERE signal_id = NEW.signal_id) BEGIN SELECT RAISE(ABORT, 'outcomes is append-only'); END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('signals',2);
INSERT INTO "sqlite_sequence" VALUES('events',1);
COMMIT;
