"""Tables, types, keys and indexes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

state = postgresql.ENUM("open", "paid", name="order_state", create_type=False)


def upgrade():
    state.create(op.get_bind(), checkfirst=True)
    op.create_table(
        "buyers",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("notes", postgresql.JSONB, server_default=sa.text("'{}'::jsonb")),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("buyer_id", sa.BigInteger, sa.ForeignKey("buyers.id", ondelete="CASCADE"), nullable=False),
        sa.Column("state", state, nullable=False, server_default="open"),
        sa.Column("total", sa.Numeric(10, 2), sa.CheckConstraint("total >= 0", name="orders_total")),
        sa.Column("placed", sa.DateTime(timezone=True), server_default=sa.func.now(), index=True),
        comment="what buyers ordered",
    )
    op.create_index("orders_open", "orders", ["buyer_id"], postgresql_where=sa.text("state = 'open'"))
    buyers = sa.table("buyers", sa.column("name", sa.String))
    op.bulk_insert(buyers, [{"name": "Ada"}, {"name": "Grace"}])


def downgrade():
    op.drop_table("orders")
    op.drop_table("buyers")
    state.drop(op.get_bind())
