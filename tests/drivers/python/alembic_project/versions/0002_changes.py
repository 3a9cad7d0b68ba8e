"""Changes of tables, data that moves, and a block of PL/pgSQL."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
    op.execute("LOCK TABLE orders IN SHARE ROW EXCLUSIVE MODE")
    op.add_column("orders", sa.Column("code", sa.Text))
    op.execute("INSERT INTO orders (buyer_id, total) SELECT id, 10 FROM buyers")
    op.execute("UPDATE orders SET code = 'N' || id")
    op.alter_column("orders", "code", nullable=False)
    op.alter_column("orders", "total", type_=sa.Numeric(12, 2), existing_type=sa.Numeric(10, 2))
    op.create_unique_constraint("orders_code", "orders", ["code"])
    op.alter_column("buyers", "name", new_column_name="full_name")
    op.execute(
        """
        DO $$
        DECLARE
            buyer record;
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_indexes WHERE indexname = 'buyers_name') THEN
                CREATE INDEX buyers_name ON buyers (lower(full_name));
            END IF;
            FOR buyer IN SELECT id FROM buyers ORDER BY id LOOP
                UPDATE orders SET total = total + 1 WHERE buyer_id = buyer.id;
            END LOOP;
        END $$
        """
    )
    op.execute(
        """
        CREATE FUNCTION order_count(buyer bigint) RETURNS bigint LANGUAGE sql STABLE
        AS $$ SELECT count(*) FROM orders WHERE buyer_id = buyer $$
        """
    )
    op.execute("CREATE VIEW busy_buyers AS SELECT id, full_name FROM buyers WHERE order_count(id) > 0")
    with op.get_context().autocommit_block():
        op.create_index("orders_state", "orders", ["state"], postgresql_concurrently=True)
        op.execute("ALTER TYPE order_state ADD VALUE IF NOT EXISTS 'sent'")


def downgrade():
    op.execute("DROP VIEW busy_buyers")
    op.execute("DROP FUNCTION order_count(bigint)")
    op.drop_index("orders_state")
    op.drop_index("buyers_name")
    op.alter_column("buyers", "full_name", new_column_name="name")
    op.drop_constraint("orders_code", "orders")
    op.drop_column("orders", "code")
    op.execute("DELETE FROM orders")
