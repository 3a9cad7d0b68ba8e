CREATE EXTENSION vector;
CREATE TABLE items (id serial PRIMARY KEY, name text NOT NULL, embedding vector(3));
INSERT INTO items (name, embedding) SELECT 'Item ' || i, format('[%s,%s,%s]', i, i % 7, i % 13)::vector FROM generate_series(1, 200) i;
CREATE INDEX ON items USING hnsw (embedding vector_l2_ops);
CREATE INDEX ON items USING ivfflat (embedding vector_cosine_ops) WITH (lists = 10);
